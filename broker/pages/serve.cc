#include "broker/pages/serve.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "broker/pages/order.h"
#include "broker/pages/server.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/spawn.h"

namespace mvm::pages {
namespace {

constexpr int kFailed = 70;  // EX_SOFTWARE
constexpr std::size_t kArenaBytes = 2 * 4096;  // a page a key
using Clock = std::chrono::steady_clock;

Status await(int fd, Clock::time_point until, const char* what) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd waited{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = left > 0 ? poll(&waited, 1, static_cast<int>(left)) : 0;
    const int saved = errno;
    if (ready > 0) return {};
    if (ready == 0) return fail(Errc::kTimeout, what);
    if (saved != EINTR) return fail_errno(saved, what);
  }
}

Status check_peer(int connection, std::uint32_t uid) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return fail_errno(errno, "look who connected");
  return peer.uid == uid ? Status{} : fail(Errc::kDenied, "take a hand-over", "of uid " + std::to_string(peer.uid));
}

Result<HandOver> take_hand_over(Fd listener, const Order& order, const Shape& shape) {
  const auto until = Clock::now() + std::chrono::milliseconds(order.patience);
  if (auto ok = await(listener.get(), until, "wait for a hand-over"); !ok) return forward(std::move(ok.error()));
  const Fd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const int saved = errno;
  if (!connection.valid()) return fail_errno(saved, "accept a hand-over");
  listener.reset();  // there is no second
  if (auto ok = check_peer(connection.get(), order.peer); !ok) return forward(std::move(ok.error()));
  if (auto ok = await(connection.get(), until, "wait for a hand-over"); !ok) return forward(std::move(ok.error()));
  return receive_hand_over(connection.get(), shape);
}

Result<snapshot_file::Reader> open_file(Fd file, const Digest& meant, const Secret& key) {
  auto reader = snapshot_file::Reader::open(std::move(file), snapshot_file::key_of(key));
  if (reader && reader->digest() != meant) return fail(Errc::kDenied, "open a snapshot", "another file than the one that was meant");
  return reader;
}

// The keys are in the image alone when this returns.
Result<snapshot_file::Image> open_image(const Order& order, const Keys& keys) {
  auto own = open_file(Fd(kSnapshotFd), order.file, keys.file);
  if (!own) return forward(std::move(own.error()));
  if (order.base == Digest{}) return snapshot_file::Image::make(std::move(*own), std::nullopt);
  auto base = open_file(Fd(kBaseFd), order.base, keys.base);
  if (!base) return forward(std::move(base.error()));
  return snapshot_file::Image::make(std::move(*own), std::move(*base));
}

struct Opened {
  Order order;
  snapshot_file::Image image;
};
Result<Opened> take_order(const SecretArena& arena) {
  auto keys = Keys::room(arena);
  if (!keys) return forward(std::move(keys.error()));
  const auto order = receive_order(sandbox::kChannelFd, *keys);
  if (!order) return forward(order.error());
  auto image = open_image(*order, *keys);
  if (!image) return forward(std::move(image.error()));
  return Opened{*order, std::move(*image)};
}

Result<bool> is_file(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(errno, "look where the memory goes");
  return S_ISREG(info.st_mode);
}

// The image by value: it and its key are gone when this returns, before anybody is told that all is in.
Status serve_whole(snapshot_file::Image image, const Fd& memory) { return snapshot_file::write_memory(image, memory.get()); }

Status serve(const SecretArena& arena) {
  Fd listener(kListenerFd);
  auto opened = take_order(arena);
  if (!opened) return forward(std::move(opened.error()));
  const auto whole = is_file(listener.get());
  if (!whole) return forward(whole.error());
  if (auto ok = send_report(sandbox::kChannelFd, {.said = Said::kReady, .faults = 0, .touched = {}}); !ok) return ok;
  if (*whole) {
    if (auto ok = serve_whole(std::move(opened->image), listener); !ok) return ok;
    return send_report(sandbox::kChannelFd, {.said = Said::kWhole, .faults = 0, .touched = {}});
  }
  const auto& header = opened->image.header();
  auto hand_over = take_hand_over(std::move(listener), opened->order, {header.memory, header.chunk});
  if (!hand_over) return forward(std::move(hand_over.error()));
  auto server = Server::make(std::move(opened->image), std::move(*hand_over));
  if (!server) return forward(std::move(server.error()));
  const auto served = server->run([] { (void)send_report(sandbox::kChannelFd, {.said = Said::kFirst, .faults = 0, .touched = {}}); });
  if (!served) return forward(served.error());
  return send_report(sandbox::kChannelFd, {served->end == End::kWhole ? Said::kWhole : Said::kGone, served->faults, served->touched});
}

int report(const Error& error) {
  std::fprintf(stderr, "mvm-pages: %s\n", error.message().c_str());
  return kFailed;
}

}  // namespace

int run(const sandbox::Grants& grants) {
  const auto arena = SecretArena::make(kArenaBytes);
  if (!arena) return report(arena.error());
  if (auto ok = snapshot_file::prepare(); !ok) return report(ok.error());
  sandbox::enter_or_exit(grants);
  const Status served = serve(*arena);
  return served ? 0 : report(served.error());
}

}  // namespace mvm::pages
