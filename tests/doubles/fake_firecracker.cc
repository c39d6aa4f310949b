// A double of Firecracker, for tests: its command line, its API over HTTP on a Unix socket, held to the table of v1.16.1
// requests, a guest on a real tap (guest.h), and its memory, which is snapshotted and restored for real, over userfaultfd too
// (memory.h). Not a VMM: no kernel is run, its memory holds what a formula says; hints of the balloon, pmem, hot-plug, CPU templates, logger, metrics and serial are checked and then refused in so many words.
// Never installed; its version says what it is.
//
//   --print-api-table     the table, as JSON
//   run/guest.sock        in the jail: one command a line, one answer a line: "ping A" and "pingfrom S A" ("reply 0.42ms",
//                         "timeout"), "send HEX" (any frame), "address", "seen" (frames that came), "state";
//                         "balloon" (MiB asked for and given);
//                         "memory" (how many restored pages were looked at, and were wrong), "dirty N" (write N pages);
//                         "limits DEVICE" (its rate limiters); "mmds GET /path Header:value..." (what its metadata service answers, mmds.h)
//
// Misbehaves when the first line of /rootfs says so, for tests of who must live with it:
//   mvm-double die-at-start | die-after-start | deaf | hang-on M /path | bad-http M /path | refuse M /path | flood M /path
//              version V | guest-... (daemon.h) | balloon-... | no-tables (vmm.h)
//              undumpable (nobody but root may read its memory)
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <utility>

#include "tests/doubles/arguments.h"
#include "tests/doubles/daemon.h"
#include "tests/doubles/vmm.h"

namespace mvm::doubles {
namespace {

constexpr std::size_t kMaxPayload = 51200;  // HTTP_MAX_PAYLOAD_SIZE
constexpr std::size_t kMaxClients = 10;     // micro_http's MAX_CONNECTIONS

const std::vector<Argument> kKnown = {{"api-sock"},
                                      {"id"},
                                      {"seccomp-filter", Takes::kValue, false, {"no-seccomp"}},
                                      {"no-seccomp", Takes::kFlag, false, {"seccomp-filter"}},
                                      {"start-time-us"},
                                      {"start-time-cpu-us"},
                                      {"parent-cpu-time-us"},
                                      {"config-file"},
                                      {"metadata"},
                                      {"no-api", Takes::kFlag, false, {}, "config-file"},
                                      {"log-path"},
                                      {"level"},
                                      {"module"},
                                      {"show-level", Takes::kFlag},
                                      {"show-log-origin", Takes::kFlag},
                                      {"metrics-path"},
                                      {"boot-timer", Takes::kFlag},
                                      {"version", Takes::kFlag},
                                      {"snapshot-version", Takes::kFlag},
                                      {"describe-snapshot"},
                                      {"http-api-max-payload-size"},
                                      {"mmds-size-limit"},
                                      {"enable-pci", Takes::kFlag},
                                      {"print-api-table", Takes::kFlag}};

// "die-after-start", or "hang-on" and "PUT /actions".
struct Mischief {
  std::string verb, on;
};
Mischief read_mischief() {
  std::ifstream rootfs("/rootfs");
  std::string line;
  std::getline(rootfs, line);
  std::istringstream words(line);
  Mischief mischief;
  std::string mark;
  words >> mark >> mischief.verb;
  if (mark != "mvm-double") return {};
  std::getline(words >> std::ws, mischief.on);
  return mischief;
}

// The real one listens some milliseconds after the jailer has gone; whoever waits for it is to wait for us too.
constexpr useconds_t kBeforeListening = 60'000;

int listen_at(const std::string& path) {
  usleep(kBeforeListening);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("socket path too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener, 16) != 0) {
    throw std::runtime_error("Failed to open the API socket at: " + path + ". Check that it is not already used. " + strerror(errno));
  }
  return listener;
}

enum class Kind { kApi, kGuest, kVsock };
struct Client {
  Kind kind;
  int fd;
  std::uint64_t id;
  std::string in;
  bool connected = false;  // vsock: CONNECT was answered
  bool daemon = false;     // to the daemon's port
};

struct HttpRequest {
  std::string method, path, body;
};
enum class Cut { kMore, kWhole, kBad };
// Takes one request from the front of what came.
Cut cut_request(std::string& in, HttpRequest& request) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == std::string::npos) return in.size() > 8192 ? Cut::kBad : Cut::kMore;
  std::istringstream head(in.substr(0, end));
  std::string version, line;
  head >> request.method >> request.path >> version;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Cut::kBad;
  std::getline(head, line);
  std::size_t length = 0;
  while (std::getline(head, line)) {
    if (line.starts_with("Content-Length:")) length = std::stoul(line.substr(15));
  }
  if (length > kMaxPayload) return Cut::kBad;
  if (in.size() < end + 4 + length) return Cut::kMore;
  request.body = in.substr(end + 4, length);
  in.erase(0, end + 4 + length);
  return Cut::kWhole;
}

std::string response_text(const Reply& reply) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n";
  if (reply.status != 204) {
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  return text + "\r\n" + reply.body;
}

class Server {
 public:
  Server(Vmm vmm, Mischief mischief, const std::string& socket)
      : vmm_(std::move(vmm)), mischief_(std::move(mischief)), api_(mischief_.verb == "deaf" ? -1 : listen_at(socket)), guest_(listen_at("/run/guest.sock")) {}

  [[noreturn]] void run() {
    for (;;) step();
  }

 private:
  void step() {
    std::vector<pollfd> ready = {{api_, POLLIN, 0}, {guest_, POLLIN, 0}, {vmm_.vsock_listener(), POLLIN, 0},
                                 // As Firecracker, which fills what a paused guest's driver has offered; what comes then waits in the tap.
                                 {vmm_.life() == Life::kRunning || (vmm_.life() == Life::kPaused && vmm_.guest().may_keep()) ? vmm_.guest().tap() : -1, POLLIN, 0}};
    const std::size_t first_client = ready.size();
    // A paused guest hears nothing by vsock either.
    for (const Client& client : clients_) ready.push_back({client.kind == Kind::kVsock && vmm_.life() != Life::kRunning ? -1 : client.fd, POLLIN, 0});
    poll(ready.data(), ready.size(), 50);
    std::vector<int> gone;
    for (std::size_t i = first_client; i < ready.size(); ++i) {
      if (ready[i].revents != 0 && !serve(clients_[i - first_client])) gone.push_back(ready[i].fd);
    }
    for (const int fd : gone) {
      close(fd);
      std::erase_if(clients_, [&](const Client& client) { return client.fd == fd; });
    }
    if (vmm_.life() == Life::kRunning) vmm_.guest().take_kept();
    if (ready[3].revents != 0) vmm_.life() == Life::kRunning ? vmm_.guest().receive() : vmm_.guest().keep();
    if (ready[0].revents != 0) welcome(api_, Kind::kApi);
    if (ready[1].revents != 0) welcome(guest_, Kind::kGuest);
    if (ready[2].revents != 0) welcome(vmm_.vsock_listener(), Kind::kVsock);
    for (const Outcome& outcome : vmm_.guest().outcomes()) {
      for (const Client& client : clients_) {
        if (client.id == outcome.client) say(client.fd, outcome.line + "\n");
      }
    }
  }

  void welcome(int listener, Kind kind) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (clients_.size() >= kMaxClients) {
      say(fd, response_text({503, R"({"error":"Too many open connections"})"}));
      close(fd);
      return;
    }
    clients_.push_back({kind, fd, ++next_id_, ""});
  }

  static void say(int fd, const std::string& text) { (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

  // False: the client has gone.
  bool serve(Client& client) {
    char buffer[65536];
    const ssize_t got = recv(client.fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    client.in.append(buffer, static_cast<std::size_t>(got));
    if (client.kind == Kind::kApi) return serve_api(client);
    return client.kind == Kind::kGuest ? serve_guest(client) : serve_vsock(client);
  }

  bool serve_api(Client& client) {
    for (;;) {
      HttpRequest request;
      const Cut cut = cut_request(client.in, request);
      if (cut == Cut::kMore) return true;
      if (cut == Cut::kBad) {
        say(client.fd, response_text({400, R"({"error":"Invalid HTTP request."})"}));
        return false;
      }
      if (misbehave(client.fd, request.method + " " + request.path)) continue;
      say(client.fd, response_text(vmm_.handle(request.method, request.path, request.body)));
      if (vmm_.fatal()) throw std::runtime_error("Loading snapshot failed.");
      if (mischief_.verb == "die-after-start" && request.path == "/actions") _exit(1);
    }
  }

  // Whether the answer has been taken care of.
  bool misbehave(int fd, const std::string& what) {
    if (mischief_.on != what) return false;
    if (mischief_.verb == "hang-on") return true;
    if (mischief_.verb == "bad-http") say(fd, "HTTP/1.1 200 OK\nContent-Length: -1\n\n{}");
    else if (mischief_.verb == "refuse") say(fd, response_text(fault("refused \x1b[31mby the test\n")));
    else if (mischief_.verb == "flood") say(fd, "HTTP/1.1 204 \r\n" + std::string(100'000, 'x'));
    else return false;
    return true;
  }

  bool serve_guest(Client& client) {
    for (std::size_t end; (end = client.in.find('\n')) != std::string::npos; client.in.erase(0, end + 1)) {
      const char* const kLives[] = {"not started", "running", "paused"};
      const std::string life = kLives[static_cast<int>(vmm_.life())];
      const std::string line = client.in.substr(0, end);
      if (line == "state" || vmm_.life() != Life::kRunning) {
        say(client.fd, life + "\n");
      } else if (line.starts_with("work ")) {
        say(client.fd, vmm_.daemon().work(line.substr(5)) ? "ok\n" : "no such word\n");
      } else if (line == "daemon") {
        say(client.fd, vmm_.daemon().told() + "\n");
      } else if (line == "memory" || line == "canary" || line == "balloon" || line.starts_with("dirty ")) {
        say(client.fd, vmm_.memory_command(line) + "\n");
      } else if (line.starts_with("limits ")) {
        say(client.fd, vmm_.limits_command(line.substr(7)) + "\n");
      } else if (line.starts_with("mmds ")) {
        say(client.fd, vmm_.mmds_command(line.substr(5)) + "\n");
      } else if (const auto answer = vmm_.guest().command(client.id, line)) {
        say(client.fd, *answer + "\n");
      }
    }
    return client.in.size() < kMaxPayload;
  }

  // docs/vsock.md: "CONNECT <port>\n" is answered with "OK <host port>\n". The doubled guest listens on every port. On the daemon's it speaks as
  // that does, on any other it gives back what it gets.
  bool serve_vsock(Client& client) {
    if (!client.connected) {
      const std::size_t end = client.in.find('\n');
      if (end == std::string::npos) return client.in.size() < 64;
      if (!client.in.starts_with("CONNECT ")) return false;
      client.daemon = client.in.substr(8, end - 8) == std::to_string(guest::kPort);
      client.in.erase(0, end + 1);
      client.connected = true;
      say(client.fd, "OK " + std::to_string(1'073'741'824 + client.id) + "\n");
    }
    const auto said = client.daemon ? vmm_.daemon().hear(client.in) : std::exchange(client.in, "");
    if (said) say(client.fd, *said);
    return said.has_value();
  }

  Vmm vmm_;
  Mischief mischief_;
  int api_, guest_;
  std::vector<Client> clients_;
  std::uint64_t next_id_ = 0;
};

int main_of(const std::vector<std::string>& words) {
  if (words == std::vector<std::string>{"--print-api-table"}) {
    std::cout << table_as_json().dump(2) << "\n";
    return 0;
  }
  const Arguments arguments = parse_arguments(kKnown, words);
  if (arguments.has("version") || arguments.has("help")) {
    std::cout << "Firecracker v" << kVersion << "\n\n";
    return 0;
  }
  if (arguments.has("snapshot-version")) {
    std::cout << "v10.0.0\n";
    return 0;
  }
  for (const char* refused : {"config-file", "metadata", "no-api", "describe-snapshot", "seccomp-filter", "enable-pci"}) {
    if (arguments.has(refused)) throw std::runtime_error(std::string("fake-firecracker: --") + refused + " is not doubled");
  }
  const std::string id = arguments.one("id", "anonymous-instance");
  check_instance_id(id);
  // Firecracker opens its log for writing and does not create it.
  if (arguments.has("log-path")) {
    const int log = open(arguments.one("log-path").c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    if (log < 0) throw std::runtime_error(std::string("Could not initialize logger: ") + strerror(errno));
  }
  const Mischief mischief = read_mischief();
  if (mischief.verb == "undumpable" && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throw std::runtime_error("cannot keep its memory to itself");
  if (mischief.verb == "die-at-start") throw std::runtime_error("told to die at start");
  Server(Vmm(id, mischief.verb == "version" ? mischief.on : kVersion, mischief.verb), mischief, arguments.one("api-sock", "/run/firecracker.socket")).run();
}

}  // namespace
}  // namespace mvm::doubles

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  try {
    return mvm::doubles::main_of({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "Error: " << error.what() << "\n";
    return 1;
  }
}
