#include "broker/guest/conversations.h"

#include <algorithm>
#include <cstddef>

namespace mvm::guest_worker {
namespace {

static_assert(static_cast<int>(wire::GuestSays::kStarting) == static_cast<int>(guest::State::kStarting) &&
              static_cast<int>(wire::GuestSays::kParked) == static_cast<int>(guest::State::kParked) && static_cast<int>(guest::State::kParked) + 1 == wire::kGuestWords);

wire::Reading reading_of(const Subject& instance, const guest::Heartbeat& heard) {
  return {.instance = instance, .guest = static_cast<wire::GuestSays>(heard.state), .since = heard.since};
}

}  // namespace

Status Conversations::connected(Connected connected) {
  if (connected_.size() >= kMaxConnected && !connected_.contains(connected.instance)) return fail(Errc::kLimit, "keep a connection to a guest");
  connected_.insert_or_assign(connected.instance, std::move(connected.connection));
  return {};
}

std::optional<wire::Answer> Conversations::begin(const wire::Task& task, Clock::time_point now) {
  const lang::Statement& statement = task.statement;
  if ((task.op != wire::Op::kMove && task.op != wire::Op::kAsk) || statement.word != lang::Word::kGuest) return wire::answer_to(task.seq, fail(Errc::kUnsupported, "run a statement of another worker"));
  auto connection = connected_.extract(statement.subject);
  if (connection.empty()) return wire::answer_to(task.seq, fail(Errc::kNotFound, "find a connection to the guest", to_string(statement.subject)));
  const auto resume = make_resume();
  if (!resume) return wire::answer_to(task.seq, forward(resume.error()));
  const bool asks = task.op == wire::Op::kAsk;
  Talk talk(std::move(connection.mapped()), asks ? Goal::kAsk : statement.numbers[1] == lang::kParked ? Goal::kPark : Goal::kGoOn, *resume, now);
  if (auto begun = talk.begin(); !begun) return wire::answer_to(task.seq, std::move(begun));
  conversations_.push_back({task.seq, std::move(talk), asks ? std::optional(statement.subject) : std::nullopt});
  return std::nullopt;
}

void Conversations::add_to(std::vector<pollfd>& polled) const {
  for (const Conversation& each : conversations_) polled.push_back({each.talk.fd(), POLLIN, 0});
}

std::vector<wire::Answer> Conversations::advance(std::span<const pollfd> polled, Clock::time_point now) {
  std::vector<wire::Answer> answers;
  std::size_t next = 0;
  for (auto at = conversations_.begin(); at != conversations_.end() && next < polled.size(); ++next) {
    const auto conversation = at++;
    auto ended = polled[next].revents != 0 ? conversation->talk.read_some() : std::nullopt;
    if (!ended && now >= conversation->talk.until()) ended = fail(Errc::kTimeout, "hear the guest out");
    if (!ended) continue;
    answers.push_back(wire::answer_to(conversation->seq, *std::move(ended)));
    if (conversation->asked && answers.back().ok) answers.back().readings = {reading_of(*conversation->asked, conversation->talk.heard())};
    conversations_.erase(conversation);
  }
  return answers;
}

Clock::time_point Conversations::due() const {
  auto due = Clock::time_point::max();
  for (const Conversation& each : conversations_) due = std::min(due, each.talk.until());
  return due;
}

}  // namespace mvm::guest_worker
