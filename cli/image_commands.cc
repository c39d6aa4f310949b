#include <fcntl.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/texts.h"
#include "images/files.h"
#include "images/store.h"
#include "planner/files.h"
#include "policy-lang/parse.h"

namespace mvm::cli {
namespace {

constexpr std::size_t kMaxLockFile = 16 << 20;

struct ImageOptions {
  std::string directory, flake, lock_file, state = "/var/lib/mvm", desired = "/var/lib/mvm-agentd/desired";
  std::vector<std::string> digests;
  double hours = 24;
};

Result<Fd> open_directory(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int saved = errno;
  if (!fd.valid()) return fail_errno(saved, "open the directory", path);
  return fd;
}

Json to_json(const images::Described& described) {
  const lang::Manifest& manifest = described.manifest;
  return {{"digest", to_string(described.digest)}, {"flake", std::string(manifest.flake.view())}, {"lock", to_string(manifest.lock)},
          {"kernel", to_string(manifest.kernel.digest)}, {"root", to_string(manifest.rootfs.root)}, {"rootfs_bytes", manifest.rootfs.blocks * lang::kVerityBlock}};
}

int make_manifest(const Context& context, const ImageOptions& options) {
  const auto flake = FlakeRef::from(options.flake);
  if (!flake) return error(context.output, "a flake is a lower-case letter and up to 159 letters, digits or any of " + std::string(FlakeRef::kMarks));
  const auto lock = planner::read_file(AT_FDCWD, options.lock_file, kMaxLockFile);
  if (!lock) return error(context.output, lock.error().message());
  const auto directory = open_directory(options.directory);
  if (!directory) return error(context.output, directory.error().message());
  const auto described = images::describe(directory->get(), {*flake, sha256(*lock)});
  if (!described) return error(context.output, described.error().message());
  if (auto written = planner::replace_file(options.directory + "/" + images::kManifestFile, described->text, 0644); !written) {
    return error(context.output, written.error().message());
  }
  if (context.output.json) std::cout << to_json(*described).dump(2) << '\n';
  else std::cout << to_string(described->digest) << '\n';
  return kOk;
}

int import_image(const Context& context, const ImageOptions& options) {
  const auto store = images::Store::open(options.state);
  if (!store) return error(context.output, store.error().message());
  const auto directory = open_directory(options.directory);
  if (!directory) return error(context.output, directory.error().message());
  const auto imported = store->import(directory->get());
  if (!imported) {
    error(context.output, imported.error().message());
    return imported.error().code == Errc::kCorrupt || imported.error().code == Errc::kMalformed ? kRefused : kError;
  }
  const bool is_new = imported->was == images::Was::kNew;
  if (context.output.json) std::cout << Json{{"digest", to_string(imported->digest)}, {"new", is_new}}.dump(2) << '\n';
  else std::cout << to_string(imported->digest) << '\n';
  return kOk;
}

// Those that were asked for, or all.
Result<std::vector<Digest>> chosen(const images::Store& store, const ImageOptions& options) {
  if (options.digests.empty()) return store.list();
  std::vector<Digest> digests;
  for (const std::string& text : options.digests) {
    const auto digest = parse_digest(text);
    if (!digest) return fail(Errc::kMalformed, "read a digest (sha256: and 64 lower-case hex digits)", text);
    digests.push_back(*digest);
  }
  return digests;
}

int verify_images(const Context& context, const ImageOptions& options) {
  const auto store = images::Store::open(options.state);
  if (!store) return error(context.output, store.error().message());
  const auto digests = chosen(*store, options);
  if (!digests) return error(context.output, digests.error().message());
  int code = kOk;
  Json json = Json::array();
  for (const Digest& digest : *digests) {
    const auto verified = store->verify(digest);
    if (!verified) code = kRefused;
    if (context.output.json) json.push_back({{"digest", to_string(digest)}, {"sound", verified.has_value()}, {"why", verified ? "" : verified.error().message()}});
    else if (verified) std::cout << tint(context.output, Tint::kGood, "sound") << "  " << to_string(digest) << '\n';
    else std::cout << tint(context.output, Tint::kBad, "broken") << " " << to_string(digest) << ": " << verified.error().message() << '\n';
  }
  if (context.output.json) std::cout << json.dump(2) << '\n';
  return code;
}

int list_images(const Context& context, const ImageOptions& options) {
  const auto store = images::Store::open(options.state);
  if (!store) return error(context.output, store.error().message());
  const auto digests = store->list();
  if (!digests) return error(context.output, digests.error().message());
  Json json = Json::array();
  for (const Digest& digest : *digests) {
    const auto image = open_directory(options.state + "/images/" + to_hex(digest.bytes));
    if (!image) return error(context.output, image.error().message());
    const auto described = images::read_described(image->get());
    if (!described) return error(context.output, described.error().message());
    if (context.output.json) json.push_back(to_json(*described));
    else std::cout << to_string(digest) << "  " << described->manifest.rootfs.blocks * lang::kVerityBlock / (1 << 20) << " MiB  " << described->manifest.flake.view() << '\n';
  }
  if (context.output.json) std::cout << json.dump(2) << '\n';
  return kOk;
}

// A text that cannot be read may name any image, and so may those of a directory that is not there; then nothing is collected.
Status add_uses(const std::string& directory, lang::Kind kind, std::string_view suffix, std::set<Digest>& uses) {
  std::error_code failed;
  for (std::filesystem::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.') || !name.ends_with(suffix)) continue;
    const auto text = planner::read_file(AT_FDCWD, at->path().string(), lang::kMaxTextBytes);
    if (!text && text.error().sys_errno == ENOENT) continue;
    if (!text) return forward(text.error());
    const auto document = lang::parse(kind, *text);
    if (!document) return fail(Errc::kMalformed, "read which images are used: " + document.error().message(), at->path().string());
    for (const lang::Statement& line : document->statements) {
      if (line.word == lang::Word::kJail) uses.insert(lang::jail_view(line).image);
      if (line.word == lang::Word::kPool) uses.insert(lang::pool_view(line).image);
    }
  }
  if (failed) return fail_errno(failed.value(), "list", directory);
  return {};
}

int collect_images(const Context& context, const ImageOptions& options) {
  std::error_code unseen;
  if (!std::filesystem::is_directory(options.desired, unseen)) {
    return error(context.output, "nothing is collected: there is no directory of projections at " + options.desired +
                                     ", so what they name cannot be known (agentd's first start makes it; --desired names another)");
  }
  const auto store = images::Store::open(options.state);
  if (!store) return error(context.output, store.error().message());
  const auto uses = [&]() -> Result<std::set<Digest>> {
    std::set<Digest> used;
    if (auto records = add_uses(options.state + "/records", lang::Kind::kState, "", used); !records) return forward(records.error());
    if (auto wanted = add_uses(options.desired, lang::Kind::kProjection, ".projection", used); !wanted) return forward(wanted.error());
    return used;
  };
  const auto collected = store->collect(uses, std::chrono::seconds(static_cast<long>(options.hours * 3600)));
  if (!collected) return error(context.output, collected.error().message());
  constexpr std::array kFates = {"used", "young", "collected"};
  Json json = Json::array();
  for (const images::Collected& one : *collected) {
    const char* fate = kFates[static_cast<std::size_t>(one.fate)];
    if (context.output.json) json.push_back({{"digest", to_string(one.digest)}, {"fate", fate}});
    else std::cout << fate << "  " << to_string(one.digest) << '\n';
  }
  if (context.output.json) std::cout << json.dump(2) << '\n';
  return kOk;
}

}  // namespace

void add_image_commands(CLI::App& app, Context& context) {
  auto options = std::make_shared<ImageOptions>();
  CLI::App* image = app.add_subcommand("image", "the images of this node: kernel and rootfs, filed under the digest of their manifest");
  image->require_subcommand(1);
  image->add_option("--state-dir", options->state, "where images/ is")->capture_default_str();

  CLI::App* make = image->add_subcommand("manifest", "write the manifest of a directory that holds kernel and rootfs; prints its digest");
  make->footer("Example:\n  mvm image manifest ./result --flake github:acme/images/4f2c#worker --lock-file flake.lock");
  make->add_option("directory", options->directory, "where kernel and rootfs are")->required();
  make->add_option("--flake", options->flake, "where it was built from")->required();
  make->add_option("--lock-file", options->lock_file, "the flake's lock file")->required();
  make->callback([&context, options] { context.exit_code = make_manifest(context, *options); });

  CLI::App* import = image->add_subcommand("import", "check a directory against its manifest and file it; exit 1 where it is not what that says (root)");
  import->footer("Example:\n  mvm image import ./result");
  import->add_option("directory", options->directory, "what a build gives: manifest, kernel, rootfs")->required();
  import->callback([&context, options] { context.exit_code = import_image(context, *options); });

  CLI::App* list = image->add_subcommand("list", "the images that are here");
  list->footer("Example:\n  mvm image list --json");
  list->callback([&context, options] { context.exit_code = list_images(context, *options); });

  CLI::App* verify = image->add_subcommand("verify", "read all of an image, or of each, and compare; exit 1 where a byte is wrong");
  verify->footer("Example:\n  mvm image verify");
  verify->add_option("digest", options->digests, "which; default: all");
  verify->callback([&context, options] { context.exit_code = verify_images(context, *options); });

  CLI::App* collect = image->add_subcommand("collect", "remove the images that neither the state nor a projection names (root)");
  collect->footer("Example:\n  mvm image collect --older-than 0");
  collect->add_option("--older-than", options->hours, "hours; younger ones stay, for a projection may be on its way")->capture_default_str();
  collect->add_option("--desired", options->desired, "where the projections are")->capture_default_str();
  collect->callback([&context, options] { context.exit_code = collect_images(context, *options); });
}

}  // namespace mvm::cli
