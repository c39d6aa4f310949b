#include "vault/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/fd.h"
#include "broker/sandbox/enter.h"
#include "planner/files.h"
#include "planner/held.h"
#include "planner/signing.h"
#include "sealing/seal.h"
#include "vault/round.h"
#include "vault/wiping.h"

namespace mvm::vault {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kBetweenRounds{1'000};  // at least, whatever agentd writes
constexpr milliseconds kFirstRetry{1'000}, kMaxRetry{30'000};
constexpr milliseconds kIdle{60'000};          // how long it waits where nothing changes
constexpr unsigned kStatusMode = 0644;

void log_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

struct Options {
  std::string config = "/etc/mvm/vault.conf", authority = "/etc/mvm/vault-ca.pem", credentials;
  Places places;
  std::string status = "status.json";  // in the directory of envelopes
  bool once = false;
};

int usage() {
  std::fputs(
      "usage: mvm-vault [--config FILE] [--ca FILE] [--credentials DIR] [--wanted FILE] [--sealed DIR] [--starts FILE] [--once]\n"
      "Seals the tenants' keys that agentd misses, which it fetches from a vault, to this node's hostd (docs/vault.md). Its credentials are\n"
      "mvm-vault-signer, mvm-vault-cert and mvm-vault-key in DIR, else in $CREDENTIALS_DIRECTORY.\n"
      "--once: one round; exit 0 where all that is wanted is sealed, 1 where not.\n",
      stderr);
  return EX_USAGE;
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  if (credentials != nullptr) options.credentials = credentials;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--once") {
      options.once = true;
      continue;
    }
    std::string* target = name == "--config" ? &options.config
                          : name == "--ca" ? &options.authority
                          : name == "--credentials" ? &options.credentials
                          : name == "--wanted" ? &options.places.wanted
                          : name == "--sealed" ? &options.places.sealed
                          : name == "--starts" ? &options.places.starts
                                               : nullptr;
    if (target == nullptr || i + 1 == argc) return std::nullopt;
    *target = argv[++i];
  }
  return options;
}

// A credential is a small file that nobody else may read, into secret memory.
Result<Secret> read_credential(const SecretArena& arena, const std::string& directory, const char* name) {
  const std::string path = directory + "/" + name;
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open the credential", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "look at the credential", path);
  if (!S_ISREG(status.st_mode) || (status.st_mode & S_IRWXO) != 0) return fail(Errc::kDenied, "read a credential that anyone may read", path);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0 || size > kMaxPem) return fail(Errc::kLimit, "read a credential of that size", path);
  auto secret = arena.take(size);
  if (!secret) return secret;
  const ssize_t got = read(file.get(), secret->bytes().data(), size);
  const int read_errno = errno;
  if (got < 0) return fail_errno(read_errno, "read the credential", path);
  if (static_cast<std::size_t>(got) != size) return fail(Errc::kMalformed, "read the credential", path);
  return secret;
}

struct Loaded {
  Config config;
  Certificates certificates;
  Signer signer;
};

Result<Loaded> load(const Options& options, const SecretArena& arena) {
  const auto text = planner::read_file(AT_FDCWD, options.config, kMaxConfig);
  if (!text) return forward(text.error());
  auto config = parse_config(*text);
  if (!config) return forward(config.error());
  auto authority = planner::read_file(AT_FDCWD, options.authority, kMaxPem);
  if (!authority) return forward(authority.error());
  const auto ours = read_credential(arena, options.credentials, "mvm-vault-cert");
  if (!ours) return forward(ours.error());
  auto key = read_credential(arena, options.credentials, "mvm-vault-key");
  if (!key) return forward(key.error());
  auto raw = read_credential(arena, options.credentials, "mvm-vault-signer");
  if (!raw) return forward(raw.error());
  auto signer = Signer::of(*std::move(raw));
  if (!signer) return forward(signer.error());
  return Loaded{*std::move(config), {*std::move(authority), {ours->bytes().begin(), ours->bytes().end()}, *std::move(key)}, *std::move(signer)};
}

struct Opened {
  Fd changes;  // inotify, of the directory of what is wanted
  std::vector<planner::Held> places;
};

Result<Opened> open_all(const Places& places) {
  Opened opened{Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), {}};
  const std::string wanted = planner::directory_of(places.wanted);
  if (inotify_add_watch(opened.changes.get(), wanted.c_str(), IN_MOVED_TO | IN_DELETE) < 0) {
    const int saved = errno;
    return fail_errno(saved, "watch", wanted);
  }
  const std::pair<std::string_view, std::string> all[] = {{"$wanted", wanted}, {"$sealed", places.sealed}, {"$starts", planner::directory_of(places.starts)}};
  for (const auto& [name, path] : all) {
    auto held = planner::hold(name, path);
    if (!held) return forward(held.error());
    opened.places.push_back(*std::move(held));
  }
  return opened;
}

// Libraries read files, and load what those name, when they are first used: so they are used before the sandbox closes.
Status use_libraries(const SecretArena& arena, const Signer& signer) {
  if (auto works = planner::check_signatures_work(); !works) return works;
  if (const auto session = sealing::Session::make(arena); !session) return forward(session.error());
  if (const auto signature = signer.sign("probe"); !signature || !planner::signed_by(signer.public_key(), "probe", *signature)) {
    return fail(Errc::kCorrupt, "sign with the credential mvm-vault-signer");
  }
  return {};
}

void lock_up(const sandbox::Grants& grants, const Opened& opened, std::uint16_t port) {
  std::vector<sandbox::Place> places;
  for (const planner::Held& held : opened.places) places.push_back({held.name, held.fd.get()});
  sandbox::Grants mine = grants;
  mine.connect_port = port;
  sandbox::enter_or_exit(mine, places);
}

// Says what is new since the last round, and writes the status file.
void tell(const Report& report, const Options& options, std::string& told) {
  for (const sealing::Label& label : report.sealed) log_line("sealed " + to_string(label) + " for generation " + std::to_string(label.generation));
  if (report.log_out) log_line("the token was not given back: " + report.log_out->message());
  const std::string json = to_json(report);
  if (json == told) return;
  if (report.failure) log_line("failed: " + report.failure->message());
  for (const Missed& missed : report.missed) log_line("no " + to_string(missed.label) + ": " + missed.failure.message());
  const auto written = planner::replace_file(options.places.sealed + "/" + options.status, json, kStatusMode);
  if (!written) log_line(written.error().message());
  told = written ? json : "";
}

// Until something changes, or the time is over; but never less than kBetweenRounds.
void wait_for_change(const Fd& changes, milliseconds time) {
  (void)poll(nullptr, 0, static_cast<int>(kBetweenRounds.count()));
  pollfd wanted{changes.get(), POLLIN, 0};
  if (poll(&wanted, 1, static_cast<int>((time - kBetweenRounds).count())) <= 0) return;
  alignas(inotify_event) char events[4096];
  if (read(changes.get(), events, sizeof events) < 0) log_line("the watched directory cannot be read");
}

int serve(const Options& options, const Means& means, const Opened& opened) {
  std::string told;
  milliseconds retry = kFirstRetry;
  while (true) {
    for (const planner::Held& held : opened.places) {
      if (planner::is_still_there(held)) continue;
      log_line("mvm-vault: " + held.path + " is no longer the directory that it may use: it has to be started again");
      return EX_TEMPFAIL;
    }
    const Report report = serve_round(means);
    tell(report, options, told);
    if (options.once) return report.good() ? EX_OK : 1;
    if (report.good()) {
      retry = kFirstRetry;
      wait_for_change(opened.changes, kIdle);
    } else {
      retry = std::min(retry * 2, kMaxRetry);
      wait_for_change(opened.changes, retry);
    }
  }
}

int give_up(int code, const Error& error) {
  log_line("mvm-vault: cannot " + error.message());
  return code;
}

}  // namespace

int run(int argc, char** argv, const sandbox::Grants& grants) {
  const auto options = parse_options(argc, argv);
  if (!options) return usage();
  // No variable steers a library: no proxy, no file for TLS secrets, no configuration of OpenSSL's.
  clearenv();
  std::signal(SIGPIPE, SIG_IGN);
  if (auto wiping = use_wiping_heaps(); !wiping) return give_up(EX_SOFTWARE, wiping.error());
  if (auto locked = use_secure_heap(); !locked) return give_up(EX_OSERR, locked.error());
  const auto arena = SecretArena::make();
  if (!arena) return give_up(EX_OSERR, arena.error());
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) log_line("mvm-vault: what libraries copy may be swapped (RLIMIT_MEMLOCK)");
  const auto loaded = load(*options, *arena);
  if (!loaded) return give_up(EX_CONFIG, loaded.error());
  if (auto used = use_libraries(*arena, loaded->signer); !used) return give_up(EX_SOFTWARE, used.error());
  const auto opened = open_all(options->places);
  if (!opened) return give_up(EX_TEMPFAIL, opened.error());
  lock_up(grants, *opened, loaded->config.port);
  return serve(*options, {loaded->config, loaded->certificates, loaded->signer, *arena, options->places, {}}, *opened);
}

}  // namespace mvm::vault
