// The seeds of fuzz/corpus/worker_task_fuzz and worker_answer_fuzz are tasks and answers of today's form: those of another form are refused at
// the first look, and a fuzzer that begins with them begins with nothing. With MVM_UPDATE_GENERATED set, they are written.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "policy-lang/table.h"
#include "schemas/agent.h"
#include "schemas/broker.h"
#include "schemas/broker_generated.h"
#include "schemas/worker.h"
#include "schemas/worker_generated.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

using lang::Sign;
using Bytes = std::vector<std::uint8_t>;

const std::string kCorpus = std::string(MVM_SOURCE_DIR) + "/fuzz/corpus/";

Task task_of(Op op, const lang::Statement& statement) {
  Task task;
  task.seq = 7;
  task.op = op;
  task.statement = statement;
  task.place = {3, test::kAcmeSubnet, test::kCidr, 5, 100'773, 42, *Name::from("node-7")};
  task.egress = {Subnet{0x01010100, 24}, Subnet{0x08080808, 32}};
  task.closed = {Subnet{0xc6336400, 24}};
  if (op == Op::kMake) task.sealed = {{1, 2, 3}, {4}};
  if (takes_image(op, statement.word)) task.manifest = test::some_manifest();
  return task;
}

// The list once more, at the end and four bytes off what a number of eight wants; the table refers to that one. Each element has `element` bytes; `field`: which of the table's;
// `body`: where that table is, unless it is the first.
template <typename List>
Bytes with_misaligned(Bytes bytes, const List& list, std::size_t element, std::size_t field, std::size_t body = 0) {
  const std::size_t length = 4 + element * std::size_t{list.size()}, field_of = 4 + 2 * field;
  Bytes copy(reinterpret_cast<const std::uint8_t*>(&list), reinterpret_cast<const std::uint8_t*>(&list) + length);
  const auto read = [&](std::size_t at, auto value) { return std::memcpy(&value, bytes.data() + at, sizeof value), value; };
  const std::size_t table = body != 0 ? body : read(0, std::uint32_t{}), vtable = table - static_cast<std::size_t>(read(table, std::int32_t{}));
  const std::size_t at = table + read(vtable + field_of, std::uint16_t{});
  while (bytes.size() % 8 != 0) bytes.push_back(0);
  const auto offset = static_cast<std::uint32_t>(bytes.size() - at);
  std::memcpy(bytes.data() + at, &offset, sizeof offset);
  bytes.insert(bytes.end(), copy.begin(), copy.end());
  return bytes;
}

std::map<std::string, Bytes> task_seeds() {
  std::map<std::string, Bytes> made;
  for (const auto& [sign, op, verb] : {std::tuple{Sign::kAdd, Op::kMake, "make-"}, {Sign::kRemove, Op::kUnmake, "remove-"}})
    for (const auto& statement : test::one_of_each(sign)) made[verb + std::string(lang::row(statement.word).name)] = encode(task_of(op, statement));
  for (const auto& statement : test::one_of_each(Sign::kAdd)) {
    if (statement.word == lang::Word::kJail) made["open-image"] = encode(task_of(Op::kOpenImage, statement));
  }
  const lang::Statement park = test::make(Sign::kMove, lang::Word::kGuest, test::instance(), {lang::kAwake, lang::kParked});
  made["inflate"] = encode(task_of(Op::kInflate, park));
  made["connect-guest"] = encode(task_of(Op::kConnect, park));
  made["move-guest"] = encode(task_of(Op::kMove, park));
  made["ask-guest"] = encode(task_of(Op::kAsk, park));
  made["read"] = encode(task_of(Op::kRead, {}));
  made["inventory"] = encode(task_of(Op::kInventory, {}));
  made["offer"] = encode(task_of(Op::kOffer, {}));
  const Bytes& rule = made["make-rule"];
  made["misaligned-subnets"] = with_misaligned(rule, *flatbuffers::GetRoot<fbs::Task>(rule.data())->egress(), sizeof(std::uint64_t), 4);
  return made;
}

std::map<std::string, Bytes> answer_seeds() {
  const Item jail{lang::Word::kJail, test::instance(), 0, 0, true, lang::kWarm}, volume{lang::Word::kVolume, test::instance(), 0, 0, true, 3};
  const Item tap{.word = lang::Word::kTap, .subject = {}, .net = 3, .slot = 5};
  const Item image{.word = lang::Word::kJail, .subject = {}, .alive = true, .state = 1, .image = test::digest_of(1)};
  Answer inventory = answer_to(7, {}), images = inventory, offer = inventory, ended = answer_to(0, {});
  inventory.items = {jail, tap};
  inventory.more = true;
  images.items = {volume, image};
  offer.offer.emplace();
  offer.offer->fill(9);
  ended.ended = test::instance();
  std::map<std::string, Bytes> made = {{"inventory", encode(inventory)}, {"images", encode(images)}, {"offer", encode(offer)}, {"ended", encode(ended)}};
  made["failure"] = encode(answer_to(7, fail_errno(EBUSY, "create the tap", "tn3i5")));
  made["digest"] = encode(answer_with(7, test::digest_of(2)));
  Answer readings = answer_to(7, {});
  readings.readings = {{.instance = test::instance(), .cpu = 5, .memory = 6, .guest = GuestSays::kIdle, .since = 9}, {.net = 3, .slot = 5, .frames = Frames{7, 8}}};
  made["readings"] = encode(readings);
  const Bytes& read = made["readings"];
  made["misaligned-readings"] = with_misaligned(read, *flatbuffers::GetRoot<fbs::Answer>(read.data())->readings(), sizeof(fbs::Reading), 8);
  const Bytes& whole = made["inventory"];
  made["misaligned-items"] = with_misaligned(whole, *flatbuffers::GetRoot<fbs::Answer>(whole.data())->items(), sizeof(fbs::Item), 3);
  return made;
}

// That each is what the file holds, and what decoding it comes to.
template <typename Decode>
void expect_seeds(const std::string& target, const std::map<std::string, Bytes>& seeds, Decode decode) {
  for (const auto& [name, bytes] : seeds) {
    const std::string path = kCorpus + target + "/" + name;
    if (std::getenv("MVM_UPDATE_GENERATED") != nullptr)
      std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::ifstream file(path, std::ios::binary);
    const Bytes found(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(found, bytes) << name << ": run schemas_test with MVM_UPDATE_GENERATED=1";
    const auto message = decode(found);
    if (name.starts_with("misaligned-")) {
      ASSERT_FALSE(message) << name;
      EXPECT_NE(message.error().message().find("that are not aligned"), std::string::npos) << message.error().message();
    } else {
      EXPECT_TRUE(message) << name << ": " << message.error().message();
    }
  }
}

TEST(Seeds, OfTasksAreOfTodaysForm) {
  expect_seeds("worker_task_fuzz", task_seeds(), [](const Bytes& bytes) { return decode_task(bytes); });
}

TEST(Seeds, OfAnswersAreOfTodaysForm) {
  expect_seeds("worker_answer_fuzz", answer_seeds(), [](const Bytes& bytes) { return decode_answer(bytes); });
}

TEST(Seeds, OfWhatAgentdIsAskedAreOfTodaysForm) {
  const Subject pool = pool_subject(*Name::from("acme"), *Name::from("workers"));
  expect_seeds("agent_request_fuzz",
               {{"wake", encode(AgentRequest(WakePool{pool, 2}))}, {"hold", encode(AgentRequest(HoldInstance{test::instance(), 600}))}, {"rest", encode(AgentRequest(RestInstance{test::instance()}))}},
               [](const Bytes& bytes) { return decode_agent_request(bytes); });
  expect_seeds("agent_answer_fuzz", {{"done", encode(AgentAnswer{true, 2, 1, ""})}, {"not-done", encode(AgentAnswer{false, 0, 0, "the pool is pinned"})}},
               [](const Bytes& bytes) { return decode_agent_answer(bytes); });
}

TEST(Seeds, OfReadingsForAgentdAreOfTodaysForm) {
  const Readings readings{{{.instance = test::instance(), .cpu = 5, .memory = 6, .frames = Frames{7, 8}, .guest = GuestSays::kBusy, .since = 9}}, true};
  const Bytes whole = encode(Event(readings));
  const fbs::Readings* const body = flatbuffers::GetRoot<fbs::Event>(whole.data())->body_as_Readings();
  const auto at = static_cast<std::size_t>(reinterpret_cast<const std::uint8_t*>(body) - whole.data());
  const Bytes misaligned = with_misaligned(whole, *body->readings(), sizeof(fbs::Reading), 0, at);
  expect_seeds("broker_event_fuzz", {{"readings", whole}, {"misaligned-readings", misaligned}}, [](const Bytes& bytes) { return decode_event(bytes); });
  expect_seeds("broker_request_fuzz", {{"ask-readings", encode(Request(AskReadings{}))}}, [](const Bytes& bytes) { return decode_request(bytes); });
}

}  // namespace
}  // namespace mvm::wire
