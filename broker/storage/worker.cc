#include "broker/storage/worker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <cstdio>
#include <locale>
#include <vector>

#include "broker/beneath/beneath.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/landlock.h"
#include "broker/storage/executor.h"
#include "broker/worker/channel.h"

namespace mvm::storage {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "mvm-storage: %s\n", error.message().c_str());
  return EX_SOFTWARE;
}

}  // namespace

std::unique_ptr<KeySource> sealed_keys(const sealing::Session& session) { return std::make_unique<SealedKeys>(session); }

int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeys make_keys) {
  if (arguments.empty()) {
    std::fprintf(stderr, "usage: mvm-storage STATE [discard] [pool [DIRECTORY/NAME:MIB...]]\n");
    return EX_USAGE;
  }
  const std::string state = arguments[0];
  auto rest = arguments.subspan(1);
  const auto said = [&](const char* word) {
    const bool there = !rest.empty() && std::string_view(rest[0]) == word;
    if (there) rest = rest.subspan(1);
    return there;
  };
  const Discard discard = said(kDiscardArgument) ? Discard::kYes : Discard::kNo;
  auto devices = said(kPoolArgument) ? PoolDevices::given(rest, kFirstPoolFd) : PoolDevices();
  if (!devices) return report(devices.error());
  auto volumes = open_absolute(state + "/volumes", O_RDONLY | O_DIRECTORY);
  auto nodes = open_absolute(state + "/nodes", O_RDONLY | O_DIRECTORY);
  auto images = open_absolute(state + "/images", O_PATH | O_DIRECTORY);
  auto in_memory = open_absolute(state + "/drives", O_RDONLY | O_DIRECTORY);
  for (const auto* directory : {&volumes, &nodes, &images, &in_memory}) {
    if (!*directory) return report(directory->error());
  }
  auto drives = Drives::make(*std::move(in_memory));
  if (!drives) return report(drives.error());
  (void)umask(07);  // modes are said where files are made; a drive's has its group
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
  const sandbox::Place places[] = {{"$volumes", volumes->get()}, {"$nodes", nodes->get()}, {"$images", images->get()}, {"$drives", drives->directory()}};
  sandbox::enter_or_exit(grants, places);
  Host host{DeviceMapper(Fd(kDeviceMapperFd)), Loops(Fd(kLoopControlFd), *std::move(nodes)), Volumes(*std::move(volumes), *std::move(devices), discard),
            *std::move(images), *std::move(drives), *std::move(arena),
            *session, *keys};
  const auto served = worker::serve([&](const wire::Task& task) { return dispatch(host, task); });
  return served ? EX_OK : report(served.error());
}

}  // namespace mvm::storage
