#include "broker/snapshot/executor.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/pages/order.h"
#include "broker/snapshot/hand_over.h"
#include "policy-lang/print.h"
#include "snapshot-file/image.h"
#include "snapshot-file/reader.h"
#include "snapshot-file/writer.h"

namespace mvm::snapshot {
namespace {

using lang::Word;

constexpr std::uint64_t kMib = 1 << 20;
static_assert(wire::kAllDrives == snapshot_file::kAllDrives);

// Written by a VMM that may be hostile; whose they are now, and that they are files, is all that is believed.
Result<Fd> open_dumped(int directory, const std::string& name, int flags) {
  auto file = open_beneath(directory, name, static_cast<std::uint64_t>(flags) | O_NOFOLLOW);
  if (!file) return file;
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail_errno(errno, "fstat", name);
  if (!S_ISREG(info.st_mode)) return fail(Errc::kDenied, "seal what is not a file", name);
  return file;
}

// What the last wake touched, as the jail worker noted it. It came from a page server; the writer checks it. Nothing where nothing is noted.
std::vector<std::uint32_t> touched_in(int directory, std::uint32_t chunks) {
  const auto text = read_file(directory, "touched", 4 * pages::kMaxTouched);
  if (!text || text->size() % 4 != 0) return {};
  std::vector<std::uint32_t> touched(text->size() / 4);
  if (!text->empty()) std::copy_n(text->data(), text->size(), reinterpret_cast<char*>(touched.data()));
  std::vector<bool> known(chunks);
  std::erase_if(touched, [&](std::uint32_t chunk) {
    if (chunk >= chunks || known[chunk]) return true;
    known[chunk] = true;
    return false;
  });
  return touched;
}

// Of a VMM that is held for this statement. What was given for another, and not taken, is let go.
Result<HeldMemory> held_memory(const Host& host, const lang::Statement& snapshot) {
  for (;;) {
    auto held = receive_held_memory(host.link.get());
    if (!held && held.error().code == Errc::kNotFound) return fail(Errc::kNotFound, "seal a memory that was not given", to_string(snapshot.subject));
    if (!held) return held;
    if (held->line == lang::snapshot_digest(snapshot)) return held;
  }
}

// What is to be sealed: a file that all of the memory was written into, or, where there is none, the memory of the VMM.
struct Memory {
  Fd file;
  std::optional<HeldMemory> held;
  [[nodiscard]] snapshot_file::LiveMemory live() const {
    return {.memory = held->memory.get(), .pagemap = held->pagemap.get(), .stretches = held->stretches};
  }
};
Result<Memory> memory_of(const Host& host, const wire::Task& task, int directory) {
  auto file = open_dumped(directory, "memory", O_RDWR);
  if (file) return Memory{*std::move(file), std::nullopt};
  if (file.error().sys_errno != ENOENT) return forward(file.error());
  auto held = held_memory(host, task.statement);
  if (!held) return forward(held.error());
  return Memory{Fd(), *std::move(held)};
}

Result<snapshot_file::Header> header_of(const Host& host, const wire::Task& task, std::uint64_t state_bytes) {
  const lang::SnapshotView view = lang::snapshot_view(task.statement);
  snapshot_file::Header header;
  header.instance = task.statement.subject;
  header.kind = view.kind == lang::kDiff ? snapshot_file::Kind::kDiff : snapshot_file::Kind::kFull;
  header.compression = view.compression == 0 ? snapshot_file::Compression::kNone : snapshot_file::Compression::kZstd;
  header.drives = task.place.drives;
  header.seq = view.seq;
  header.key_version = view.key_version;
  header.line = lang::snapshot_digest(task.statement);
  header.base = task.asleep.base;
  header.fits = {task.asleep.image, task.asleep.vmm, host.fits.kernel, host.fits.cpu};
  header.memory = std::uint64_t{task.asleep.mem} * kMib;
  header.chunk = snapshot_file::chunk_for(header.memory);
  header.state = state_bytes;
  return header;
}

// What belongs to the tenant, with the key that the task came with.
struct Opened {
  Fd file;
  Secret data_key;
  snapshot_file::Reader reader;
};
Result<Opened> open_sealed(const Host& host, const wire::Task& task, const Subject& whose, std::uint32_t key_version) {
  auto file = host.files.open(whose), own = host.files.open(whose);
  if (!file || !own) return forward(!file ? file.error() : own.error());
  const auto header = snapshot_file::read_header(file->get());
  if (!header) return forward(header.error());
  if (header->key_version != key_version) return fail(Errc::kDenied, "open a snapshot with another key than its line says", to_string(whose));
  const auto key = host.key_of(task, key_version);
  if (!key) return forward(key.error());
  auto data_key = snapshot_file::unwrap(*header, snapshot_file::key_of(*key), host.arena);
  if (!data_key) return forward(data_key.error());
  auto reader = snapshot_file::Reader::open(*std::move(own), snapshot_file::key_of(*data_key));
  if (!reader) return forward(reader.error());
  if (reader->header().instance != whose) return fail(Errc::kDenied, "open a snapshot", to_string(whose) + ": another instance");
  return Opened{*std::move(file), *std::move(data_key), *std::move(reader)};
}

// The base of the task's pool, where it is the newest.
Result<Opened> open_base(const Host& host, const wire::Task& task, std::uint32_t key_version) {
  const Subject pool = pool_subject(task.statement.subject.tenant, task.statement.subject.pool);
  auto base = open_sealed(host, task, pool, key_version);
  if (!base) return base;
  if (base->reader.digest() != task.asleep.base) return fail(Errc::kDenied, "open a base", to_string(pool) + ": another file than the newest");
  return base;
}

Result<Digest> seal_into(const Host& host, const wire::Task& task, int out) {
  const auto directory = open_beneath(host.memory.get(), memory_name(task.statement.subject), O_PATH | O_DIRECTORY);
  if (!directory) return forward(directory.error());
  const auto memory = memory_of(host, task, directory->get());
  if (!memory) return forward(memory.error());
  const auto state = open_dumped(directory->get(), "state", O_RDONLY);
  if (!state) return forward(state.error());
  struct stat info {};
  if (fstat(state->get(), &info) != 0) return fail_errno(errno, "fstat", "state");
  const auto header = header_of(host, task, static_cast<std::uint64_t>(info.st_size));
  if (!header) return forward(header.error());
  const auto key = host.key_of(task, header->key_version);
  if (!key) return forward(key.error());
  const auto touched = touched_in(directory->get(), header->memory_chunks());
  const auto live = memory->held ? memory->live() : snapshot_file::LiveMemory{};
  snapshot_file::Source source{.memory = memory->file.get(), .live = memory->held ? &live : nullptr, .state = state->get(), .first = touched};
  std::optional<Opened> base;
  if (header->kind == snapshot_file::Kind::kDiff) {
    auto opened = open_base(host, task, header->key_version);
    if (!opened) return forward(opened.error());
    if (opened->reader.header().line != lang::snapshot_view(task.statement).base) return fail(Errc::kDenied, "seal a diff on a base of another line", to_string(task.statement.subject));
    source.base = &base.emplace(*std::move(opened)).reader;
  }
  const auto sealed = snapshot_file::seal(*header, source, snapshot_file::key_of(*key), host.arena, out);
  if (!sealed) return forward(sealed.error());
  return sealed->file;
}

// The memory of a full snapshot of the pool, sealed again for the pool. The snapshot stays as it is.
Result<Digest> seal_base_into(const Host& host, const wire::Task& task, int out) {
  const lang::BaseView view = lang::base_view(task.statement);
  const Subject& pool = task.statement.subject;
  auto full = open_sealed(host, task, instance_subject(pool.tenant, pool.pool, InstanceId{task.asleep.source}), view.key_version);
  if (!full) return forward(full.error());
  const auto& copied = full->reader.header();
  if (copied.line != view.snapshot || full->reader.digest() != task.asleep.file) return fail(Errc::kDenied, "make a base of another snapshot", to_string(pool));
  if (copied.memory != std::uint64_t{view.mem_mib} * kMib) return fail(Errc::kDenied, "make a base", to_string(pool) + ": another size of memory");
  const auto key = host.key_of(task, view.key_version);
  if (!key) return forward(key.error());
  snapshot_file::Header header;
  header.instance = pool;
  header.kind = snapshot_file::Kind::kBase;
  header.compression = copied.compression;
  header.key_version = view.key_version;
  header.line = lang::snapshot_digest(task.statement);
  header.fits.image = view.image;
  header.memory = copied.memory;
  header.chunk = copied.chunk;
  const auto sealed = snapshot_file::seal(header, {.copied = &full->reader}, snapshot_file::key_of(*key), host.arena, out);
  if (!sealed) return forward(sealed.error());
  return sealed->file;
}

Result<Digest> make(const Host& host, const wire::Task& task) {
  const bool base = task.statement.word == Word::kBase;
  if (!base && lang::snapshot_view(task.statement).key_version == 0) return fail(Errc::kUnsupported, "make a snapshot without a key", to_string(task.statement.subject));
  const auto file = host.files.begin(task.statement.subject);
  if (!file) return forward(file.error());
  auto sealed = base ? seal_base_into(host, task, file->get()) : seal_into(host, task, file->get());
  if (sealed) {
    if (auto kept = host.files.keep(task.statement.subject); !kept) sealed = forward(kept.error());
  }
  if (!sealed) host.files.give_up(task.statement.subject);
  return sealed;
}

// In memory, and whole; nobody else has it.
Result<Fd> state_in_memory(snapshot_file::Reader& reader) {
  const auto state = reader.state();
  if (!state) return forward(state.error());
  Fd file(memfd_create("state", MFD_CLOEXEC));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "memfd_create");
  for (std::size_t done = 0; done < state->size();) {
    const ssize_t wrote = write(file.get(), state->data() + done, state->size() - done);
    const int write_errno = errno;
    if (wrote < 0) return fail_errno(write_errno, "write the VMM's state");
    done += static_cast<std::size_t>(wrote);
  }
  return file;
}

struct Channel {
  Fd ours, theirs;
};
// With the order in it, so that it need not pass through other hands.
Result<Channel> order_in_channel(const pages::Order& order, const pages::Keys& keys) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return fail_errno(errno, "socketpair");
  Channel channel{Fd(ends[0]), Fd(ends[1])};
  if (auto sent = pages::send_order(channel.ours.get(), order, keys); !sent) return forward(sent.error());
  return channel;
}

// Nothing of the wake has begun when any of this refuses.
Status check(const Host& host, const wire::Task& task, const snapshot_file::Reader& reader) {
  const auto& header = reader.header();
  const lang::JailView jail = lang::jail_view(task.statement);
  const snapshot_file::Compatibility fits{jail.image, header.fits.vmm, host.fits.kernel, host.fits.cpu};  // the VMM's version is for the jail worker, who starts one
  if (auto expected = check_expected(header, reader.digest(), {task.statement.subject, jail.boot_digest, task.asleep.file, fits, task.place.drives}); !expected) return expected;
  if (header.memory != jail.mem_mib * kMib) return fail(Errc::kDenied, "open a snapshot", to_string(task.statement.subject) + ": another size of memory");
  return {};
}

// What the snapshot stands on; of a full one a key of zeros, and nothing else.
struct Under {
  Fd file;
  Secret data_key;
  std::optional<snapshot_file::Reader> reader;
};
Result<Under> base_of(const Host& host, const wire::Task& task, const snapshot_file::Header& header) {
  if (header.kind == snapshot_file::Kind::kDiff) {
    auto base = open_base(host, task, header.key_version);
    if (!base) return forward(base.error());
    return Under{std::move(base->file), std::move(base->data_key), std::move(base->reader)};
  }
  auto none = host.arena.take(pages::kDataKeyBytes);
  if (!none) return forward(none.error());
  return Under{Fd(), *std::move(none), std::nullopt};
}

Status hand_over(const Host& host, const wire::Task& task) {
  const lang::JailView jail = lang::jail_view(task.statement);
  if (task.statement.word != Word::kJail || jail.boot != lang::kBootSnapshot) return fail(Errc::kMalformed, "hand over what boots from no snapshot");
  auto own = open_sealed(host, task, task.statement.subject, task.asleep.key_version);
  if (!own) return forward(own.error());
  if (auto sound = check(host, task, own->reader); !sound) return sound;
  const snapshot_file::Header header = own->reader.header();
  pages::Order order{own->reader.digest(), header.base, task.place.uid, kPatience};
  auto state = state_in_memory(own->reader);
  if (!state) return forward(state.error());
  auto under = base_of(host, task, header);
  if (!under) return forward(under.error());
  if (auto image = snapshot_file::Image::make(std::move(own->reader), std::move(under->reader)); !image) return forward(image.error());
  auto channel = order_in_channel(order, {std::move(own->data_key), std::move(under->data_key)});
  if (!channel) return forward(channel.error());
  return send_hand_over(host.link.get(), {task.statement.subject, jail.boot_digest, header.fits.vmm, std::move(channel->ours), std::move(channel->theirs), std::move(own->file),
                                          std::move(under->file), *std::move(state)});
}

wire::Digested change(const Host& host, const wire::Task& task) {
  const bool base = task.statement.word == Word::kBase;
  if (task.statement.subject.kind != (base ? SubjectKind::kPool : SubjectKind::kInstance)) return fail(Errc::kMalformed, "find the instance of a statement");
  if (task.op == wire::Op::kHandOver) return wire::without_digest(hand_over(host, task));
  if (task.op == wire::Op::kSpend) return wire::without_digest(host.files.spend(task.statement.subject));
  if (task.statement.word != Word::kSnapshot && !base) return fail(Errc::kUnsupported, "run a statement that is not the snapshot worker's");
  if (task.op == wire::Op::kUnmake) return wire::without_digest(host.files.destroy(task.statement.subject));
  if (task.op != wire::Op::kMake) return fail(Errc::kUnsupported, "do to a snapshot what is not done to one");
  const auto digest = make(host, task);
  if (!digest) return forward(digest.error());
  return *digest;
}

Result<std::vector<wire::Item>> inventory(const Host& host) {
  const auto found = host.files.list();
  if (!found) return forward(found.error());
  std::vector<wire::Item> items;
  for (const FoundSnapshot& each : *found) items.push_back({.word = each.whose.kind == SubjectKind::kPool ? Word::kBase : Word::kSnapshot, .subject = each.whose, .alive = each.good == Good::kYes});
  return items;
}

}  // namespace

std::vector<wire::Answer> dispatch(Host& host, const wire::Task& task) {
  if (task.op == wire::Op::kInventory) return wire::pages(task.seq, inventory(host));
  return {wire::answer_with(task.seq, change(host, task))};
}

}  // namespace mvm::snapshot
