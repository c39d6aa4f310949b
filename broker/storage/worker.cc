#include "broker/storage/worker.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <locale>
#include <vector>

#include "broker/beneath/beneath.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/landlock.h"
#include "broker/storage/executor.h"

namespace mvm::storage {
namespace {

Result<std::vector<std::uint8_t>> receive_packet() {
  std::vector<std::uint8_t> packet(wire::kMaxPacket + 1);  // one more, to see that a packet is too long
  ssize_t size = 0;
  int saved = 0;
  do {
    size = recv(wire::kChannelFd, packet.data(), packet.size(), 0);
    saved = errno;
  } while (size < 0 && saved == EINTR);
  if (size < 0) return fail_errno(saved, "read a task");
  if (size == 0) return fail(Errc::kClosed, "read a task");
  if (static_cast<std::size_t>(size) > wire::kMaxPacket) return fail(Errc::kLimit, "read a task");
  packet.resize(static_cast<std::size_t>(size));
  return packet;
}

Status send_packet(const std::vector<std::uint8_t>& packet) {
  const ssize_t size = send(wire::kChannelFd, packet.data(), packet.size(), MSG_NOSIGNAL);
  const int saved = errno;
  if (size < 0) return fail_errno(saved, "send an answer");
  return {};
}

// Until the supervisor goes away or says what is no task: nothing of that is repaired.
Status serve(Host& host) {
  while (true) {
    const auto packet = receive_packet();
    if (!packet) return packet.error().code == Errc::kClosed ? Status{} : forward(packet.error());
    const auto task = wire::decode_task(*packet);
    if (!task) return forward(task.error());
    for (const wire::Answer& answer : dispatch(host, *task)) {
      if (auto sent = send_packet(wire::encode(answer)); !sent) return sent;
    }
  }
}

// A worker whose hostd was killed still ends what it does; until it has, another must neither look nor touch. It holds the directory
// for as long as it lives.
Status be_alone(int volumes) {
  constexpr int kTries = 500;
  constexpr useconds_t kPause = 20'000;
  for (int i = 0; i < kTries; ++i) {
    if (flock(volumes, LOCK_EX | LOCK_NB) == 0) return {};
    const int saved = errno;
    if (saved != EWOULDBLOCK && saved != EINTR) return fail_errno(saved, "lock the volumes");
    usleep(kPause);
  }
  return fail(Errc::kBusy, "be the only one that has the volumes: another storage worker does not end");
}

int report(const Error& error) {
  std::fprintf(stderr, "mvm-storage: %s\n", error.message().c_str());
  return EX_SOFTWARE;
}

}  // namespace

std::unique_ptr<KeySource> sealed_keys(const sealing::Session& session) { return std::make_unique<SealedKeys>(session); }

int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeys make_keys) {
  if (arguments.size() != 1) {
    std::fprintf(stderr, "usage: mvm-storage STATE\n");
    return EX_USAGE;
  }
  const std::string state = arguments[0];
  auto volumes = open_absolute(state + "/volumes", O_RDONLY | O_DIRECTORY);
  auto nodes = open_absolute(state + "/nodes", O_RDONLY | O_DIRECTORY);
  if (!volumes || !nodes) return report(!volumes ? volumes.error() : nodes.error());
  if (auto alone = be_alone(volumes->get()); !alone) return report(alone.error());
  auto arena = SecretArena::make();
  if (!arena) return report(arena.error());
  // Before libcryptsetup's first allocation of OpenSSL's: its keys are to be in locked memory as well.
  const auto session = sealing::Session::make(*arena);
  if (!session) return report(session.error());
  if (auto given = session->give(kSessionFd); !given) return report(given.error());
  Fd(kSessionFd).reset();
  if (auto works = check_luks_works(*arena); !works) return report(works.error());
  const auto keys = make_keys(*session);
  (void)std::locale::classic();  // made once, with a call that the filter does not grant
  const sandbox::Place places[] = {{"$volumes", volumes->get()}, {"$nodes", nodes->get()}};
  sandbox::enter_or_exit(grants, places);
  Host host{DeviceMapper(Fd(kDeviceMapperFd)), Loops(Fd(kLoopControlFd), *std::move(nodes)), Volumes(*std::move(volumes)), *std::move(arena), *session, *keys};
  const auto served = serve(host);
  return served ? EX_OK : report(served.error());
}

}  // namespace mvm::storage
