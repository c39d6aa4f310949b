// The loop: the socket's clients, the workers' answers, the plan that runs, or what is read of instances. A plan that comes meanwhile waits for that. Everything untrusted that reaches the supervisor
// comes in here, and goes to a decoder first.
// Owns the listening socket, the connections and the plan that runs; one thread, nothing blocks but Workers::call() and
// GateClient::parse(), which have deadlines. Proven by: tests/supervisor/refusal_test.cc, hostd_test.cc.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <list>
#include <memory>

#include "broker/supervisor/connection.h"
#include "broker/supervisor/execution.h"
#include "broker/supervisor/host.h"
#include "broker/supervisor/submission.h"
#include "broker/supervisor/survey.h"

namespace mvm::supervisor {

inline constexpr std::size_t kMaxConnections = 16;
inline constexpr std::chrono::minutes kSettleEvery{5};

class Server {
 public:
  // `client`: the one uid whose connections are kept. `signals`: a signalfd; what arrives there ends the loop.
  Server(Host& host, Fd listener, Fd signals, uid_t client);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Until told to stop, which is success, or until something failed without which hostd must not go on.
  [[nodiscard]] Status serve();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Turn : std::uint8_t { kAgain, kStop };

  [[nodiscard]] Result<Turn> turn();
  [[nodiscard]] int timeout_ms() const;
  void accept_all();
  void read_from(Connection& connection);
  [[nodiscard]] bool has_asked(const Connection& connection) const;
  [[nodiscard]] Status answer_worker(lang::Worker worker);
  [[nodiscard]] Status take_request(Connection& connection, Incoming incoming);
  [[nodiscard]] Status take_submit(Connection& connection, Submitted submitted);
  void send_state(Connection& connection);
  [[nodiscard]] Status take_readings_request(Connection& connection);
  [[nodiscard]] Status take_requests();
  void finish_survey_if_over();
  [[nodiscard]] Status finish_if_over();
  [[nodiscard]] Status settle_if_due();
  [[nodiscard]] Status settle_all();
  void send(Connection& connection, const wire::Event& event, Fd descriptor = {});
  void broadcast(const wire::Event& event);
  void sweep_closed();

  Host& host_;
  Fd listener_, signals_;
  uid_t client_;
  std::list<Connection> connections_;
  std::vector<const Connection*> closed_;
  struct Request {
    Connection* from;
    Incoming incoming;
  };
  std::vector<Request> requests_;
  std::unique_ptr<Execution> execution_;
  std::unique_ptr<Survey> survey_;  // never both
  bool settle_now_ = false;
  Clock::time_point settle_at_ = Clock::now() + kSettleEvery;
};

}  // namespace mvm::supervisor
