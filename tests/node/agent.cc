// The command service of the node VM: a test's tool that lives in the VM image alone and is never installed on a node.
// Owns the virtio-serial port mvm.agent and the commands started through it. Runs as root on purpose; whoever holds
// the host's end of the port owns the VM. tests/node/README.md has the protocol; the smoke tests of the node tier prove it.

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr char kPort[] = "/dev/virtio-ports/mvm.agent";
constexpr std::size_t kMaxPayload = 64 * 1024;
constexpr std::size_t kOutboundHigh = 1024 * 1024;  // above this no output of commands is read

enum class Type : std::uint32_t {
  kStart = 1,     // host: flags byte, then argv, each word ended by NUL
  kStdin = 2,     // host: bytes
  kStdinEnd = 3,  // host
  kSignal = 4,    // host: u32 signal, to the command's process group
  kWindow = 5,    // host: u16 rows, u16 columns
  kProbe = 6,     // host: who is there?
  kHello = 16,    // agent: boot id and pid, at its start and after a probe
  kStdout = 17,   // agent: bytes
  kStderr = 18,   // agent: bytes
  kExit = 19,     // agent: u32 wait status
  kConsumed = 20, // agent: u32 bytes of stdin that the command has taken
};

struct Header {
  std::uint32_t stream;
  std::uint32_t type;
  std::uint32_t length;
};
static_assert(sizeof(Header) == 12);

constexpr unsigned char kFlagTerminal = 1;

struct Command {
  pid_t pid = -1;
  int in = -1;   // the command's stdin, or the terminal's master
  int out = -1;  // the command's stdout, or the terminal's master
  int err = -1;
  bool terminal = false;
  bool in_ended = false;
  std::string pending_in;
};

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "node-agent: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void set_nonblocking(int fd) {
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) die("fcntl");
}

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

class Agent {
 public:
  explicit Agent(int port) : port_(port) {}

  void greet();
  [[noreturn]] void run();

 private:
  void queue(std::uint32_t stream, Type type, std::string_view payload);
  void queue_u32(std::uint32_t stream, Type type, std::uint32_t value);
  void read_port();
  void write_port();
  void handle(const Header& header, std::string_view payload);
  void start(std::uint32_t stream, std::string_view payload);
  void feed_stdin(std::uint32_t stream, Command& command);
  void close_stdin(Command& command);
  bool forward(std::uint32_t stream, int& fd, Type type);
  void reap();
  void finish(std::uint32_t stream, Command& command, int status);

  int port_;
  int signals_ = -1;
  std::string inbound_;
  std::string outbound_;
  std::map<std::uint32_t, Command> commands_;
};

void Agent::queue(std::uint32_t stream, Type type, std::string_view payload) {
  const Header header{stream, static_cast<std::uint32_t>(type), static_cast<std::uint32_t>(payload.size())};
  outbound_.append(reinterpret_cast<const char*>(&header), sizeof header);
  outbound_.append(payload);
}

void Agent::queue_u32(std::uint32_t stream, Type type, std::uint32_t value) {
  queue(stream, type, {reinterpret_cast<const char*>(&value), sizeof value});
}

void Agent::greet() {
  char boot_id[64] = {};
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : read(fd, boot_id, sizeof boot_id);
  if (fd >= 0) close(fd);
  queue(0, Type::kHello, std::string(boot_id, n > 0 ? static_cast<std::size_t>(n) : 0) + std::to_string(getpid()));
}

void Agent::read_port() {
  char buffer[kMaxPayload];
  const ssize_t n = read(port_, buffer, sizeof buffer);
  if (n < 0 && errno != EAGAIN && errno != EINTR) die("read of the port");
  if (n <= 0) return;
  inbound_.append(buffer, static_cast<std::size_t>(n));
  std::size_t at = 0;
  while (inbound_.size() - at >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, inbound_.data() + at, sizeof header);
    if (header.length > kMaxPayload) {
      errno = EPROTO;
      die("frame");
    }
    if (inbound_.size() - at < sizeof header + header.length) break;
    handle(header, std::string_view(inbound_).substr(at + sizeof header, header.length));
    at += sizeof header + header.length;
  }
  inbound_.erase(0, at);
}

void Agent::write_port() {
  const ssize_t n = write(port_, outbound_.data(), std::min(outbound_.size(), kMaxPayload));
  if (n < 0 && errno != EAGAIN && errno != EINTR) die("write to the port");
  if (n > 0) outbound_.erase(0, static_cast<std::size_t>(n));
}

void Agent::handle(const Header& header, std::string_view payload) {
  const auto type = static_cast<Type>(header.type);
  if (type == Type::kProbe) return greet();
  if (type == Type::kStart) return start(header.stream, payload);
  const auto found = commands_.find(header.stream);
  if (found == commands_.end()) return;  // it has ended while this was on its way
  Command& command = found->second;
  if (type == Type::kStdin) {
    command.pending_in.append(payload);
    feed_stdin(header.stream, command);
  } else if (type == Type::kStdinEnd) {
    command.in_ended = true;
    feed_stdin(header.stream, command);
  } else if (type == Type::kSignal) {
    kill(-command.pid, static_cast<int>(read_u32(payload)));
  } else if (type == Type::kWindow && command.terminal && payload.size() == 4) {
    winsize size{};
    std::memcpy(&size.ws_row, payload.data(), 2);
    std::memcpy(&size.ws_col, payload.data() + 2, 2);
    ioctl(command.out, TIOCSWINSZ, &size);
  }
}

[[noreturn]] void become(const std::vector<char*>& argv, const int (&fds)[3], bool terminal) {
  setsid();
  for (int i = 0; i < 3; ++i) {
    if (dup2(fds[i], i) < 0) _exit(126);
  }
  if (terminal) ioctl(0, TIOCSCTTY, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); fd >= 0) {
    if (write(fd, "0", 1) != 1) _exit(126);
    close(fd);
  }
  execvp(argv[0], argv.data());
  dprintf(2, "node-agent: %s: %s\n", argv[0], std::strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

void open_pipes(Command& command, int (&child)[3]) {
  int pipes[3][2];
  for (auto& ends : pipes) {
    if (pipe2(ends, O_CLOEXEC) != 0) die("pipe2");
  }
  command.in = pipes[0][1];
  command.out = pipes[1][0];
  command.err = pipes[2][0];
  child[0] = pipes[0][0];
  child[1] = pipes[1][1];
  child[2] = pipes[2][1];
  for (const int fd : {command.in, command.out, command.err}) set_nonblocking(fd);
}

void open_terminal(Command& command, int (&child)[3]) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) die("posix_openpt");
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) die("open of the terminal");
  set_nonblocking(master);
  command.in = command.out = master;
  child[0] = child[1] = child[2] = slave;
}

void Agent::start(std::uint32_t stream, std::string_view payload) {
  std::string words(payload.substr(std::min<std::size_t>(1, payload.size())));
  std::vector<char*> argv;
  for (std::size_t at = 0; at < words.size(); at = words.find('\0', at) + 1) {
    if (words.find('\0', at) == std::string::npos) break;
    argv.push_back(words.data() + at);
  }
  if (argv.empty()) return queue_u32(stream, Type::kExit, 127 << 8);
  argv.push_back(nullptr);

  Command command;
  command.terminal = (static_cast<unsigned char>(payload[0]) & kFlagTerminal) != 0;
  int child[3];
  command.terminal ? open_terminal(command, child) : open_pipes(command, child);
  command.pid = fork();
  if (command.pid == 0) become(argv, child, command.terminal);
  const int fork_errno = errno;
  close(child[0]);
  if (!command.terminal) close(child[1]), close(child[2]);
  if (command.pid < 0) {
    queue(stream, Type::kStderr, std::string("node-agent: fork: ") + std::strerror(fork_errno) + "\n");
    return finish(stream, command, 126 << 8);
  }
  commands_[stream] = std::move(command);
}

void Agent::close_stdin(Command& command) {
  if (command.in >= 0 && !command.terminal) close(command.in);
  command.in = -1;
}

void Agent::feed_stdin(std::uint32_t stream, Command& command) {
  if (command.in >= 0 && !command.pending_in.empty()) {
    const ssize_t n = write(command.in, command.pending_in.data(), command.pending_in.size());
    if (n < 0 && errno != EAGAIN && errno != EINTR) close_stdin(command);
    if (n > 0) {
      command.pending_in.erase(0, static_cast<std::size_t>(n));
      queue_u32(stream, Type::kConsumed, static_cast<std::uint32_t>(n));
    }
  }
  if (command.in < 0 && !command.pending_in.empty()) {
    queue_u32(stream, Type::kConsumed, static_cast<std::uint32_t>(command.pending_in.size()));
    command.pending_in.clear();
  }
  if (command.in_ended && command.pending_in.empty()) close_stdin(command);
}

// Forwards what can be read at once; false when nothing more comes now.
bool Agent::forward(std::uint32_t stream, int& fd, Type type) {
  if (fd < 0) return false;
  char buffer[16 * 1024];
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n > 0) {
    queue(stream, type, {buffer, static_cast<std::size_t>(n)});
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  close(fd);
  fd = -1;
  return false;
}

// A process that the command left behind may hold its stdout for ever, so what is there now is all that is forwarded.
void Agent::finish(std::uint32_t stream, Command& command, int status) {
  if (command.terminal) command.in = -1;
  while (forward(stream, command.out, Type::kStdout)) {
  }
  while (forward(stream, command.err, Type::kStderr)) {
  }
  close_stdin(command);
  if (command.out >= 0) close(command.out);
  if (command.err >= 0) close(command.err);
  queue_u32(stream, Type::kExit, static_cast<std::uint32_t>(status));
}

void Agent::reap() {
  signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) == sizeof info) {
  }
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (auto it = commands_.begin(); it != commands_.end(); ++it) {
      if (it->second.pid != pid) continue;
      finish(it->first, it->second, status);
      commands_.erase(it);
      break;
    }
  }
}

void Agent::run() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) die("signalfd");

  for (;;) {
    const bool room = outbound_.size() < kOutboundHigh;
    const short port_events = static_cast<short>(POLLIN | (outbound_.empty() ? 0 : POLLOUT));
    std::vector<pollfd> polls{{port_, port_events, 0}, {signals_, static_cast<short>(room ? POLLIN : 0), 0}};
    for (const auto& [stream, command] : commands_) {
      const bool wants_in = command.in >= 0 && !command.pending_in.empty();
      polls.push_back({wants_in ? command.in : -1, POLLOUT, 0});
      polls.push_back({room ? command.out : -1, POLLIN, 0});
      polls.push_back({room ? command.err : -1, POLLIN, 0});
    }
    if (poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) die("poll");

    std::size_t at = 2;
    for (auto& [stream, command] : commands_) {
      if (polls[at++].revents != 0) feed_stdin(stream, command);
      if (polls[at++].revents != 0) forward(stream, command.out, Type::kStdout);
      if (polls[at++].revents != 0) forward(stream, command.err, Type::kStderr);
      if (command.terminal && command.out < 0) command.in = -1;
    }
    if (polls[1].revents != 0) reap();
    if ((polls[0].revents & POLLIN) != 0) read_port();
    if (!outbound_.empty()) write_port();
    // Without the host's end the port reports POLLHUP all the time; wait for it to come back without burning the CPU.
    if ((polls[0].revents & POLLHUP) != 0) usleep(20'000);
  }
}

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/root", 1);
  setenv("LANG", "C.UTF-8", 1);
  setenv("TERM", "xterm", 0);
  if (chdir("/root") != 0) die("chdir");
  const int port = open(kPort, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (port < 0) die(kPort);
  Agent agent(port);
  agent.greet();
  agent.run();
}
