// One plan, with the test as the workers: in which order tasks come, and what follows from each answer.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "broker/supervisor/execution.h"
#include "tests/base/socket_pair.h"
#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {

using lang::Statement;
using lang::Word;
using wire::Phase;

// Both ends of a worker's channel; ours plays the worker.
struct Ends {
  Ends() {
    test::socket_pair(SOCK_SEQPACKET, hostd, worker);
    EXPECT_EQ(fcntl(worker.get(), F_SETFL, O_NONBLOCK), 0);
  }
  Fd hostd, worker;
};

class Stage {
 public:
  explicit Stage(const std::vector<Statement>& from = {})
      : host_{GateClient(Fd()), Workers::make({std::move(net_.hostd), std::move(storage_.hostd), std::move(snapshot_.hostd), std::move(jail_.hostd), std::move(guest_.hostd)}).value(), Records(records_.open()),
              Journal(journal_.open()), Audit::open(audit_.open()).value(), Images(Fd()),
              read_node_policy(test::parsed(lang::Kind::kPolicy, test::policy_text())), {}, {}, {}} {
    host_.state.header = test::empty_state().header;
    for (const Statement& line : from) host_.state.put(line);
    host_.emit = [this](const wire::Event& event) { events.push_back(event); };
  }

  void run(const std::vector<Statement>& to, const std::string& projection = test::projection_text()) {
    run_text(test::plan_text(host_.state.document(), to, projection), projection);
  }
  void run_text(const std::string& plan, const std::string& projection = test::projection_text()) {
    lang::Document wanted = test::parsed(lang::Kind::kProjection, projection);
    auto verified = lang::verify(test::parsed(lang::Kind::kPlan, plan), {host_.state.document(), wanted, host_.policy.text});
    ASSERT_TRUE(verified) << verified.error().message();
    execution_ = std::make_unique<Execution>(host_, *std::move(verified), std::move(wanted), Keys(), images());
    const auto started = execution_->start();
    ASSERT_TRUE(started) << started.error().message();
  }
  // Tasks that have come since the last call, by their lines.
  std::vector<std::string> tasks() {
    std::vector<std::string> lines;
    for (const Ends* ends : {&net_, &storage_, &snapshot_, &jail_, &guest_}) {
      std::vector<std::uint8_t> bytes(wire::kMaxPacket);
      while (true) {
        const ssize_t got = recv(ends->worker.get(), bytes.data(), bytes.size(), 0);
        if (got <= 0) break;
        const auto task = wire::decode_task(std::span(bytes).first(static_cast<std::size_t>(got)));
        EXPECT_TRUE(task) << task.error().message();
        lines.push_back(lang::print(task->statement));
        waiting_[lines.back()] = *task;
      }
    }
    return lines;
  }
  // Answers the task of that line, which has come.
  Status answer(const std::string& line, bool ok = true, std::optional<Digest> digest = {}) {
    const auto found = std::ranges::find_if(waiting_, [&](const auto& each) { return each.first.find(line) != std::string::npos; });
    if (found == waiting_.end()) return fail(Errc::kNotFound, "find the task", line);
    wire::Answer answer;
    answer.seq = found->second.seq;
    answer.ok = ok;
    if (ok) answer.digest = digest;
    if (!ok) answer.error = {Errc::kSystem, 5, "do it", "the test"};
    waiting_.erase(found);
    return execution_->take(answer);
  }
  // Answers all tasks as they come, those that contain a given text with a failure.
  void answer_all(const std::string& failing = "\n") {
    for (static_cast<void>(tasks()); !waiting_.empty(); static_cast<void>(tasks())) {
      const std::string line = waiting_.begin()->first;
      ASSERT_TRUE(answer(line, line.find(failing) == std::string::npos));
    }
  }
  wire::Finished finish() {
    EXPECT_TRUE(execution_->over());
    EXPECT_TRUE(execution_->finish());
    return std::get<wire::Finished>(events.back());
  }
  wire::Task& task(const std::string& line) {
    return std::ranges::find_if(waiting_, [&](const auto& each) { return each.first.find(line) != std::string::npos; })->second;
  }
  Execution& execution() { return *execution_; }
  Host& host() { return host_; }
  std::string audit_log() { return read_file(audit_.open(), "log", 1 << 20).value(); }
  std::vector<std::string> records() { return list_directory(records_.open(), 1000).value(); }

  std::vector<wire::Event> events;

  // As they would be held; nobody else is here to take a lock.
  HeldImages images() const {
    HeldImages held;
    if (has_image) held.emplace(*parse_digest(test::kImage), HeldImage{Fd(), lang::read_manifest(test::parsed(lang::Kind::kManifest, test::kManifest)).value()});
    return held;
  }
  bool has_image = true;

 private:
  test::Directory records_, journal_, audit_;
  Ends net_, storage_, snapshot_, jail_, guest_;
  Host host_;
  std::unique_ptr<Execution> execution_;
  std::map<std::string, wire::Task> waiting_;
};

}  // namespace mvm::supervisor
