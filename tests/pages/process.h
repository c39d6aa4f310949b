// mvm-pages as a process, started as a worker starts it, and a microVM's VMM for it: a process of another user, which hands its
// memory over as Firecracker does, faults on all of it in a random order, and compares every byte.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>

#include "broker/pages/order.h"
#include "broker/sandbox/spawn.h"
#include "tests/pages/memory.h"
#include "tests/sandbox/worker_process.h"

namespace mvm::test {

inline constexpr std::uint32_t kVmmUid = 64'998;
inline constexpr std::uint32_t kPagesChunk = 65'536;

// A sealed snapshot in a file, and its keys. `sealed_by`: the size of the chunks in it.
struct Sleeping {
  explicit Sleeping(std::size_t chunks, std::vector<std::uint32_t> first = {}, std::uint32_t sealed_by = kPagesChunk) : image(mixed_memory(chunks * kPagesChunk / sf::kPage)) {
    auto written = write_file(header_for(image.size(), sealed_by, 1), image, {1}, std::move(first));
    digest = written.sealed.file;
    file = file_of(written.bytes);
  }
  // A diff: a page of each tenth chunk is its own, the rest is the base's.
  static Sleeping on_a_base(std::size_t chunks, std::uint32_t sealed_by = kPagesChunk) {
    const Bytes memory = mixed_memory(chunks * kPagesChunk / sf::kPage);
    const auto full = write_file(header_for(memory.size(), sealed_by, 1), memory, {1});
    const auto base = write_base(full.bytes);
    Sleeping own;
    own.image = memory;
    for (std::size_t at = sf::kPage; at < own.image.size(); at += 10 * kPagesChunk) {
      std::ranges::copy(random_bytes(sf::kPage, static_cast<std::uint32_t>(at)), own.image.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const auto diff = try_diff(header_for(own.image.size(), sealed_by, 1), base.bytes, own.image, {1});
    EXPECT_TRUE(diff) << diff.error().message();
    own.base = base.sealed.file;
    own.digest = diff->sealed.file;
    own.file = file_of(diff->bytes);
    own.base_file = file_of(base.bytes);
    return own;
  }
  // `secrets`: a child needs its own, for it has none of its parent's.
  [[nodiscard]] pages::Keys keys(const SecretArena& secrets = arena()) const {
    const auto key_of = [&](const Fd& sealed) { return *sf::unwrap(*sf::read_header(sealed.get()), kTenantKey, secrets); };
    return {key_of(file), base_file.valid() ? key_of(base_file) : *secrets.take(pages::kDataKeyBytes)};
  }
  [[nodiscard]] pages::Order order(std::uint32_t peer, std::uint32_t patience) const { return {digest, base, peer, patience}; }
  // For the page server: 4, 5 and, where there is a base, 6.
  [[nodiscard]] std::vector<int> descriptors(int listener) const {
    std::vector<int> all = {file.get(), listener};
    if (base_file.valid()) all.push_back(base_file.get());
    return all;
  }
  Bytes image;
  Digest digest, base;
  Fd file, base_file;

 private:
  Sleeping() = default;
};

// A listening socket in a directory of its own, where anybody may connect.
class Listener {
 public:
  Listener() : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    char name[] = "/tmp/mvm-pages-XXXXXX";
    directory_ = mkdtemp(name);
    std::filesystem::permissions(directory_, std::filesystem::perms(0755));
    const sockaddr_un address = this->address();
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(chmod(address.sun_path, 0777), 0);
    EXPECT_EQ(listen(fd_.get(), 1), 0);
  }
  ~Listener() { std::filesystem::remove_all(directory_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string path() const { return directory_ + "/uffd.sock"; }
  [[nodiscard]] int connected() const {
    const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = this->address();
    return connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? connection : -1;
  }

 private:
  [[nodiscard]] sockaddr_un address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s/uffd.sock", directory_.c_str());
    return address;
  }
  Fd fd_;
  std::string directory_;
};

inline bool send_with(int socket, const std::string& text, int fd) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// Exit codes of a VMM.
enum VmmEnd : int { kSawAllRight = 0, kSawAWrongByte = 1, kCouldNot = 2 };

// A VMM's life, in a child process. `balloon`: removes a range first, and sees zeros there.
inline pid_t start_vmm(const Listener& listener, const Sleeping& snapshot, std::uint32_t seed, std::optional<std::size_t> balloon_chunk = {}) {
  const pid_t child = fork();
  if (child != 0) return child;
  const WatchedMemory memory({snapshot.image.size()});
  if (setresuid(kVmmUid, kVmmUid, kVmmUid) != 0) _exit(kCouldNot);
  const int connection = listener.connected();
  if (!memory.valid() || connection < 0 || !send_with(connection, memory.message(), memory.userfaultfd())) _exit(kCouldNot);
  if (balloon_chunk) memory.remove(*balloon_chunk * kPagesChunk, kPagesChunk);
  std::vector<std::size_t> order(snapshot.image.size() / sf::kPage);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, std::mt19937(seed));
  const Bytes zeros(sf::kPage);
  for (const std::size_t page : order) {
    const bool removed = balloon_chunk && page / (kPagesChunk / sf::kPage) == *balloon_chunk;
    if (memory.differs(page * sf::kPage, removed ? std::span<const std::uint8_t>(zeros) : std::span(snapshot.image).subspan(page * sf::kPage, sf::kPage)) >= 0) _exit(kSawAWrongByte);
  }
  _exit(kSawAllRight);
}

inline int ended_as(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// The next report, or nothing where the page server has ended without one.
inline std::optional<pages::Report> next_report(const sandbox::Worker& worker) {
  pollfd waited{.fd = worker.channel.get(), .events = POLLIN, .revents = 0};
  Bytes packet(pages::kMaxReport);
  if (poll(&waited, 1, 20'000) != 1) return std::nullopt;
  const ssize_t got = recv(worker.channel.get(), packet.data(), packet.size(), 0);
  if (got <= 0) return std::nullopt;
  const auto report = pages::decode_report(std::span(packet).first(static_cast<std::size_t>(got)));
  return report ? std::optional(*report) : std::nullopt;
}

}  // namespace mvm::test
