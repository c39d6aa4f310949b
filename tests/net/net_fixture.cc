#include "tests/net/net_fixture.h"

#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "base/derived.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t kFirstUid = 1'000'000;
constexpr Subnet kListed{192U << 24 | 2U << 8, 24};  // the policy's one egress line

wire::Task task_of(wire::Op op, lang::Word word, std::uint16_t net) {
  wire::Task task;
  task.seq = 7;
  task.op = op;
  task.statement.sign = op == wire::Op::kMake ? lang::Sign::kAdd : lang::Sign::kRemove;
  task.statement.word = word;
  task.statement.subject = tenant_subject(*Name::from("acme"));
  task.place.net = net;
  task.place.subnet = subnet_of(net);
  task.place.cidr = kCidr;
  return task;
}

}  // namespace

Subnet subnet_of(std::uint16_t net) { return {kCidr.base + (std::uint32_t{net} << 8), 24}; }

wire::Task bridge_task(wire::Op op, std::uint16_t net) {
  wire::Task task = task_of(op, lang::Word::kBridge, net);
  task.statement.numbers = {net, subnet_of(net).packed()};
  return task;
}

wire::Task tap_task(wire::Op op, std::uint16_t net, std::uint32_t slot) {
  wire::Task task = task_of(op, lang::Word::kTap, net);
  task.statement.subject = instance_subject(*Name::from("acme"), *Name::from("workers"), {slot});
  task.statement.numbers = {slot};
  task.place.slot = slot;
  task.place.uid = static_cast<std::uint32_t>(instance_uid(kFirstUid, kCidr, subnet_of(net), slot));
  return task;
}

wire::Task rule_task(wire::Op op, std::uint16_t net, std::uint64_t egress) {
  wire::Task task = task_of(op, lang::Word::kRule, net);
  task.statement.numbers = {egress, 0, 0, 0};
  if (egress == lang::kEgressListed) task.egress = {kListed};
  return task;
}

wire::Task inventory_task() {
  wire::Task task;
  task.seq = 9;
  task.place.cidr = kCidr;
  task.egress = {kListed};
  return task;
}

std::string shell(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return output;
  }
  std::array<char, 4096> part;
  for (std::size_t size = 0; (size = fread(part.data(), 1, part.size(), pipe)) > 0;) output.append(part.data(), size);
  const int status = pclose(pipe);
  EXPECT_EQ(0, status) << command << "\n" << output;
  return output;
}

nlohmann::json shell_json(const std::string& command) {
  const std::string text = shell(command);
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << command << "\n" << text;
  return parsed;
}

void InANamespace::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(0, unshare(CLONE_NEWNET));
  shell("ip link set lo up");
  Result<Kernel> opened = Kernel::open();
  ASSERT_TRUE(opened) << opened.error().message();
  kernel_ = std::move(*opened);
}

wire::Answer InANamespace::run(const wire::Task& task) {
  std::vector<wire::Answer> answers = dispatch(*kernel_, task);
  EXPECT_EQ(1U, answers.size());
  EXPECT_EQ(task.seq, answers.front().seq);
  return answers.front();
}

void InANamespace::make(const wire::Task& task) {
  const wire::Answer answer = run(task);
  ASSERT_TRUE(answer.ok) << answer.error.message();
}

std::vector<wire::Item> InANamespace::inventory_items(const wire::Task& task) {
  const Result<CheckedInventory> wanted = CheckedInventory::from(task);
  EXPECT_TRUE(wanted) << wanted.error().message();
  Result<std::vector<wire::Item>> items = inventory(*kernel_, *wanted);
  EXPECT_TRUE(items) << items.error().message();
  return items ? *items : std::vector<wire::Item>{};
}

std::string InANamespace::whole_state() {
  // Carrier comes and goes a moment later, and timers run: neither is a thing that anybody made.
  return shell("{ ip -d link; ip -br address; ip route show table all; ip rule; nft list ruleset; } | grep -v 'multicast ff00' | "
               "sed -E 's/[a-z_]*timer +[0-9.]+//g; s/NO-CARRIER,//; s/,LOWER_UP//; s/state [A-Za-z]+//g; s/ linkdown//; "
               "s/[gt]so_max_s[a-z]+ [0-9]+//g; s/qdisc [a-z_]+//; s/ +(UP|DOWN|UNKNOWN) +/ /'");
}

}  // namespace mvm::net
