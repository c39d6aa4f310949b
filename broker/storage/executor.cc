#include "broker/storage/executor.h"

#include <algorithm>
#include <array>

#include "base/derived.h"
#include "drive/build.h"

namespace mvm::storage {
namespace {

using lang::Word;

Status make_volume(Host& host, const wire::Task& task) {
  const lang::VolumeView volume = lang::volume_view(task.statement);
  if (volume.key_version == 0) return fail(Errc::kUnsupported, "make a volume without a key", to_string(task.statement.subject));
  const auto keys = host.keys.keys_of(task);
  if (!keys) return forward(keys.error());
  return host.volumes.format(task.statement.subject, volume.mib, {volume.key_version, keys->at(0)});
}

// V2 has it closed before, and so has recovery.
Status check_closed(const Host& host, const Subject& instance, const char* tried) {
  const auto open = host.devices.find(data_device_name(instance));
  if (open) return fail(Errc::kBusy, tried, to_string(instance));
  return open.error().code == Errc::kNotFound ? Status{} : forward(open.error());
}

Status unmake_volume(Host& host, const wire::Task& task) {
  if (auto closed = check_closed(host, task.statement.subject, "destroy a volume that is open"); !closed) return closed;
  return host.volumes.destroy(task.statement.subject);
}

Status move_volume(Host& host, const wire::Task& task) {
  if (auto closed = check_closed(host, task.statement.subject, "change the key of a volume that is open"); !closed) return closed;
  const auto keys = host.keys.keys_of(task);
  if (!keys) return forward(keys.error());
  const auto version = [&](std::size_t i) { return static_cast<std::uint32_t>(task.statement.numbers[i]); };
  return host.volumes.rekey(task.statement.subject, {version(0), keys->at(0)}, {version(1), keys->at(1)}, host.arena);
}

Status find_volumes(const Host& host, Items& items) {
  const auto volumes = host.volumes.list();
  if (!volumes) return forward(volumes.error());
  for (const FoundVolume& each : *volumes) items.push_back({.word = Word::kVolume, .subject = each.instance, .alive = each.use == Use::kOpened, .state = each.key_version});
  return {};
}

Status make_open(Host& host, const wire::Task& task) {
  const auto keys = host.keys.keys_of(task);
  if (!keys) return forward(keys.error());
  return host.open_volumes().open(task.statement.subject, {static_cast<std::uint32_t>(task.statement.number("key")), keys->at(0)});
}

Status unmake_open(Host& host, const wire::Task& task) { return host.open_volumes().close(task.statement.subject); }

Status find_open(const Host& host, Items& items) {
  const auto open = host.open_volumes().list();
  if (!open) return forward(open.error());
  for (const FoundOpen& each : *open) items.push_back({.word = Word::kLuksOpen, .subject = each.instance, .alive = each.whole});
  return {};
}

// Of a jail, its image alone is ours: opened before it is made, and closed by recovery and settle() when no jail has it any more.
Status change_image(Host& host, const wire::Task& task) {
  const Digest image = lang::jail_view(task.statement).image;
  if (task.op == wire::Op::kUnmake) return host.open_images().close(image);
  if (task.op != wire::Op::kOpenImage) return fail(Errc::kUnsupported, "do to an image what is not done to one");
  const auto manifest = wire::manifest_of(task);
  if (!manifest) return forward(manifest.error());
  return host.open_images().open(image, manifest->rootfs);
}

Status find_images(const Host& host, Items& items) {
  const auto open = host.open_images().list();
  if (!open) return forward(open.error());
  for (const FoundImage& each : *open) items.push_back({.word = Word::kJail, .subject = {}, .alive = each.whole, .state = each.damaged, .image = each.image});
  return {};
}

struct DriveOf {
  std::string_view label;
  std::uint16_t mode;
};
DriveOf drive_of(Word word) {
  return word == Word::kSecrets ? DriveOf{drive::kSecretsLabel, drive::kSecretsMode} : DriveOf{drive::kConfigLabel, drive::kConfigMode};
}

// What it carries is in locked memory alone, and so is the drive until it is written.
Status make_drive(Host& host, const wire::Task& task) {
  const auto content = host.keys.content_of(task);
  if (!content) return forward(content.error());
  const auto files = drive::read_files(content->bytes());
  if (!files) return forward(files.error());
  auto drive = host.arena.take(drive::kDriveBytes);
  if (!drive) return forward(drive.error());
  const DriveOf kind = drive_of(task.statement.word);
  if (auto built = drive::build(*files, {kind.label, task.statement.digests[0], kind.mode}, drive->bytes()); !built) return built;
  return host.drives.write(task.statement.subject, kind.label, drive->bytes());
}

Status unmake_drive(Host& host, const wire::Task& task) { return host.drives.wipe(task.statement.subject, drive_of(task.statement.word).label); }

template <Word kWord>
Status find_drives(const Host& host, Items& items) {
  const auto drives = host.drives.list(drive_of(kWord).label);
  if (!drives) return forward(drives.error());
  for (const FoundDrive& each : *drives) items.push_back({.word = kWord, .subject = each.instance, .alive = each.whole});
  return {};
}

constexpr std::array kExecutors = {
    Executor{Word::kVolume, make_volume, unmake_volume, find_volumes, move_volume},
    Executor{Word::kLuksOpen, make_open, unmake_open, find_open},
    Executor{Word::kSecrets, make_drive, unmake_drive, find_drives<Word::kSecrets>},
    Executor{Word::kConfig, make_drive, unmake_drive, find_drives<Word::kConfig>},
};

Status change(Host& host, const wire::Task& task) {
  if (task.statement.word == Word::kJail) return change_image(host, task);
  const auto found = std::ranges::find(kExecutors, task.statement.word, &Executor::word);
  if (found == kExecutors.end()) return fail(Errc::kUnsupported, "run a statement that is not the storage worker's");
  if (task.statement.subject.kind != SubjectKind::kInstance) return fail(Errc::kMalformed, "find the instance of a statement");
  if (task.op == wire::Op::kMake) return found->make(host, task);
  if (task.op == wire::Op::kUnmake) return found->unmake(host, task);
  return found->move != nullptr ? found->move(host, task) : fail(Errc::kUnsupported, "move what does not move");
}

Result<Items> inventory(const Host& host) {
  Items items;
  for (const Executor& executor : kExecutors) {
    if (auto found = executor.find(host, items); !found) return forward(found.error());
  }
  if (auto found = find_images(host, items); !found) return forward(found.error());
  return items;
}

}  // namespace

std::vector<wire::Answer> dispatch(Host& host, const wire::Task& task) {
  if (task.op == wire::Op::kInventory) return wire::pages(task.seq, inventory(host));
  if (task.op != wire::Op::kOffer) return {wire::answer_to(task.seq, change(host, task))};
  wire::Answer offer = wire::answer_to(task.seq, {});
  offer.offer = host.session.public_key();
  return {std::move(offer)};
}

}  // namespace mvm::storage
