#include "broker/supervisor/server.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/sealed.h"
#include "broker/supervisor/recovery.h"
#include "policy-lang/print.h"

namespace mvm::supervisor {
namespace {

constexpr short kGone = POLLHUP | POLLERR;

Result<uid_t> peer_uid(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    const int saved = errno;
    return fail_errno(saved, "ask who connects");
  }
  return peer.uid;
}

}  // namespace

Server::Server(Host& host, Fd listener, Fd signals, uid_t client)
    : host_(host), listener_(std::move(listener)), signals_(std::move(signals)), client_(client) {
  host_.emit = [this](const wire::Event& event) { broadcast(event); };
}

Status Server::serve() {
  while (true) {
    const auto next = turn();
    if (!next) return forward(next.error());
    if (*next == Turn::kStop) return {};
  }
}

Result<Server::Turn> Server::turn() {
  std::vector<pollfd> waited = {{signals_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
  for (const lang::Worker worker : kExecutors) waited.push_back({host_.workers.fd(worker), POLLIN, 0});
  waited.push_back({host_.gate.fd(), POLLIN, 0});
  const std::size_t first_client = waited.size();
  std::vector<Connection*> polled;
  for (Connection& connection : connections_) {
    // Who has asked is read again when it has taken its answer.
    const bool waits = connection.role == Connection::Role::kSubmitter || connection.role == Connection::Role::kReader || has_asked(connection) || (connection.role == Connection::Role::kIdle && connection.has_queued());
    const short in = waits ? 0 : POLLIN;
    waited.push_back({connection.fd(), static_cast<short>(in | (connection.has_queued() ? POLLOUT : 0)), 0});
    polled.push_back(&connection);
  }
  const int ready = poll(waited.data(), waited.size(), timeout_ms());
  const int saved = errno;
  if (ready < 0 && saved != EINTR) return fail_errno(saved, "poll");
  if (ready < 0) return Turn::kAgain;
  if (waited[0].revents != 0) return Turn::kStop;

  // Asked and answered within a turn: anything else is its end.
  if (waited[first_client - 1].revents != 0) return fail(Errc::kClosed, "go on without gate");
  for (std::size_t i = 0; i < kExecutors.size(); ++i) {
    if (waited[2 + i].revents == 0) continue;
    if (auto taken = answer_worker(kExecutors[i]); !taken) return forward(taken.error());
  }
  if (execution_ != nullptr) {
    if (auto in_time = execution_->overdue(Clock::now()); !in_time) return forward(in_time.error());
  }
  if (survey_ != nullptr) {
    if (auto in_time = survey_->overdue(Clock::now()); !in_time) return forward(in_time.error());
  }
  for (std::size_t i = 0; i < polled.size(); ++i) {
    const short events = waited[first_client + i].revents;
    if ((events & POLLOUT) != 0 && !polled[i]->flush()) closed_.push_back(polled[i]);
    else if ((events & POLLIN) != 0) read_from(*polled[i]);
    else if ((events & kGone) != 0) closed_.push_back(polled[i]);
  }
  finish_survey_if_over();
  if (auto taken = take_requests(); !taken) return forward(taken.error());
  if (auto finished = finish_if_over(); !finished) return forward(finished.error());
  if (auto settled = settle_if_due(); !settled) return forward(settled.error());
  sweep_closed();
  if (waited[1].revents != 0) accept_all();
  return Turn::kAgain;
}

int Server::timeout_ms() const {
  const bool rests = execution_ == nullptr && survey_ == nullptr;
  if (rests && (settle_now_ || !requests_.empty())) return 0;
  const auto deadline = execution_ != nullptr ? execution_->next_deadline() : survey_ != nullptr ? survey_->next_deadline() : settle_at_;
  const auto until = rests ? settle_at_ : std::min(deadline, Clock::now() + kSettleEvery);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<long>(left, 0, std::chrono::milliseconds(kSettleEvery).count()));
}

// Beyond the limit, and from anyone but agentd, a connection is closed at once: nothing of it is read.
void Server::accept_all() {
  while (true) {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) return;
    if (connections_.size() >= kMaxConnections) continue;
    const auto uid = peer_uid(socket.get());
    if (!uid || *uid != client_) continue;
    connections_.emplace_back(std::move(socket));
  }
}

void Server::read_from(Connection& connection) {
  auto incoming = connection.receive();
  // A watcher has nothing more to say.
  if (!incoming || (*incoming && connection.role == Connection::Role::kWatcher)) return closed_.push_back(&connection);
  if (*incoming) requests_.push_back({&connection, *std::move(*incoming)});
}

Status Server::answer_worker(lang::Worker worker) {
  while (true) {
    auto answer = host_.workers.receive(worker);
    if (!answer) return forward(answer.error());
    settle_now_ = settle_now_ || !host_.workers.take_ended().empty();
    if (!*answer) return {};
    if (execution_ == nullptr && survey_ == nullptr) return fail(Errc::kMalformed, "take an answer to no task");
    if (auto taken = execution_ != nullptr ? execution_->take(**answer) : survey_->take(**answer); !taken) return taken;
  }
}

Status Server::take_request(Connection& connection, Incoming incoming) {
  if (std::holds_alternative<wire::Watch>(incoming.request)) {
    connection.role = Connection::Role::kWatcher;
    send(connection, wire::Watching{});
    return {};
  }
  if (std::holds_alternative<wire::AskState>(incoming.request)) {
    send_state(connection);
    return {};
  }
  if (std::holds_alternative<wire::AskReadings>(incoming.request)) return take_readings_request(connection);
  return take_submit(connection, {std::get<wire::Submit>(std::move(incoming.request)), std::move(incoming.descriptors[0]),
                                  std::move(incoming.descriptors[1]), std::move(incoming.descriptors[2])});
}

// A plan waits until what is being read has been read.
Status Server::take_requests() {
  std::vector<Request> waiting;
  for (Request& request : std::exchange(requests_, {})) {
    if (survey_ != nullptr && std::holds_alternative<wire::Submit>(request.incoming.request)) {
      survey_->hurry();
      waiting.push_back(std::move(request));
    } else if (auto taken = take_request(*request.from, std::move(request.incoming)); !taken) {
      return taken;
    }
  }
  requests_ = std::move(waiting);
  return {};
}

bool Server::has_asked(const Connection& connection) const {
  return std::ranges::find(requests_, &connection, &Request::from) != requests_.end();
}

// Who asks while others wait for readings gets the same.
Status Server::take_readings_request(Connection& connection) {
  if (execution_ != nullptr) {
    send(connection, wire::Busy{});
    return {};
  }
  connection.role = Connection::Role::kReader;
  if (survey_ != nullptr) return {};
  survey_ = std::make_unique<Survey>(host_.workers, host_.state);
  return survey_->start();
}

void Server::finish_survey_if_over() {
  if (survey_ == nullptr || !survey_->over()) return;
  const std::vector<wire::Reading> all = survey_->readings();
  survey_.reset();
  for (Connection& connection : connections_) {
    if (connection.role != Connection::Role::kReader) continue;
    connection.role = Connection::Role::kIdle;
    std::size_t at = 0;
    do {
      const std::size_t count = std::min(all.size() - at, wire::kMaxReadings);
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at);
      at += count;
      send(connection, wire::Readings{{begin, begin + static_cast<std::ptrdiff_t>(count)}, at < all.size()});
    } while (at < all.size());
  }
}

Status Server::take_submit(Connection& connection, Submitted submitted) {
  if (execution_ != nullptr) {
    send(connection, wire::Busy{});
    return {};
  }
  auto verdict = admit(host_, submitted);
  if (!verdict) return forward(verdict.error());
  const wire::Mode mode = submitted.request.mode;
  if (auto wrote = host_.audit.append(verdict_line(mode, *verdict)); !wrote) return wrote;
  if (!verdict->admitted) {
    send(connection, verdict->admitted.error());
    return {};
  }
  Admitted& admitted = *verdict->admitted;
  const lang::Document& plan = admitted.plan.plan();
  send(connection, wire::Accepted{lang::text_digest(plan), static_cast<std::uint32_t>(plan.statements.size())});
  if (mode == wire::Mode::kCheck) return {};
  // What is about to run is in the log for good before it does.
  if (auto synced = host_.audit.sync(); !synced) return synced;
  connection.role = Connection::Role::kSubmitter;
  auto images = host_.images.hold(plan, host_.gate);
  if (!images) return forward(images.error());
  execution_ = std::make_unique<Execution>(host_, std::move(admitted.plan), std::move(admitted.projection), std::move(admitted.keys), *std::move(images));
  return execution_->start();
}

void Server::send_state(Connection& connection) {
  const lang::Document state = host_.state.document();
  auto text = make_sealed(lang::print(state));
  if (!text) return send(connection, wire::Failed{text.error()});
  send(connection, wire::StateText{lang::text_digest(state), state.header.generation, host_.offer}, *std::move(text));
}

Status Server::finish_if_over() {
  if (execution_ == nullptr || !execution_->over()) return {};
  // Before it is said that it has finished: then nothing is there any more that it had no need of.
  if (execution_->wants_settling()) {
    if (auto settled = settle_all(); !settled) return settled;
  }
  if (auto finished = execution_->finish(); !finished) return finished;
  execution_.reset();
  for (Connection& connection : connections_) {
    if (connection.role == Connection::Role::kSubmitter) connection.role = Connection::Role::kIdle;
  }
  return {};
}

// Between plans, so whatever has no line then is a leak, and no age guard is needed.
Status Server::settle_if_due() {
  if (execution_ != nullptr || survey_ != nullptr || (!settle_now_ && Clock::now() < settle_at_)) return {};
  return settle_all();
}

Status Server::settle_all() {
  settle_now_ = false;
  settle_at_ = Clock::now() + kSettleEvery;
  if (auto settled = settle(host_); !settled) return settled;
  settle_now_ = !host_.workers.take_ended().empty();
  return {};
}

void Server::send(Connection& connection, const wire::Event& event, Fd descriptor) {
  if (!connection.send(event, std::move(descriptor))) closed_.push_back(&connection);
}

void Server::broadcast(const wire::Event& event) {
  for (Connection& connection : connections_) {
    const bool ended = std::holds_alternative<wire::Ended>(event);
    const bool to_it = connection.role == Connection::Role::kWatcher || (connection.role == Connection::Role::kSubmitter && !ended);
    if (to_it && std::ranges::find(closed_, &connection) == closed_.end()) send(connection, event);
  }
}

void Server::sweep_closed() {
  for (const Connection* closed : std::exchange(closed_, {})) {
    std::erase_if(requests_, [&](const Request& request) { return request.from == closed; });
    connections_.remove_if([&](const Connection& connection) { return &connection == closed; });
  }
}

}  // namespace mvm::supervisor
