#include "broker/snapshot/worker.h"

#include <fcntl.h>
#include <sysexits.h>

#include <cstdio>
#include <locale>
#include <memory>

#include "broker/beneath/beneath.h"
#include "broker/sandbox/enter.h"
#include "broker/worker/channel.h"
#include "snapshot-file/crypto.h"

namespace mvm::snapshot {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "mvm-snapshot: %s\n", error.message().c_str());
  return EX_SOFTWARE;
}

}  // namespace

Result<KeyOf> sealed_keys(const SecretArena& arena) {
  auto session = sealing::Session::take(arena, kSessionFd);
  Fd(kSessionFd).reset();  // nothing more comes of it
  if (!session) return forward(session.error());
  const auto held = std::make_shared<const sealing::Session>(*std::move(session));
  return [held](const wire::Task& task, std::uint32_t version) -> Result<Secret> {
    if (task.sealed.size() != 1) return fail(Errc::kDenied, "use a key that did not come with its statement", to_string(task.statement.subject));
    const sealing::Label label{task.place.node, sealing::Purpose::kTenantKey, task.statement.subject.tenant, version, {}, task.place.generation};
    return held->open(label, task.sealed[0]);
  };
}

int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeyOf make_key_of) {
  if (arguments.size() != 2) {
    std::fprintf(stderr, "usage: mvm-snapshot STATE MEMORY\n");
    return EX_USAGE;
  }
  auto snapshots = open_absolute(std::string(arguments[0]) + "/snapshots", O_RDONLY | O_DIRECTORY);
  auto memory = open_absolute(arguments[1], O_PATH | O_DIRECTORY);  // it may look into it by names that it knows
  if (!snapshots || !memory) return report(!snapshots ? snapshots.error() : memory.error());
  auto arena = SecretArena::make();
  if (!arena) return report(arena.error());
  auto key_of = make_key_of(*arena);
  if (!key_of) return report(key_of.error());
  if (auto ready = snapshot_file::prepare(); !ready) return report(ready.error());
  // OpenSSL's generator is made with a call that the filter does not grant.
  if (auto random = snapshot_file::fresh_key(*arena); !random) return report(random.error());
  const auto fits = read_host_fits();
  if (!fits) return report(fits.error());
  (void)std::locale::classic();  // made once, with a call that the filter does not grant
  const sandbox::Place places[] = {{"$snapshots", snapshots->get()}, {"$memory", memory->get()}};
  sandbox::enter_or_exit(grants, places);
  Host host{Files(*std::move(snapshots)), *std::move(memory), Fd(kLinkFd), *fits, *std::move(arena), *std::move(key_of)};
  const auto served = worker::serve([&](const wire::Task& task) { return dispatch(host, task); });
  return served ? EX_OK : report(served.error());
}

}  // namespace mvm::snapshot
