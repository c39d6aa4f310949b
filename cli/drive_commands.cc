// mvm drive: what a secrets or config drive carries, as the bytes that are sealed and whose digest the projection names (docs/drives.md).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <list>
#include <memory>

#include "base/digest.h"
#include "cli/commands.h"
#include "cli/secret_files.h"
#include "drive/files.h"
#include "planner/files.h"

namespace mvm::cli {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kPrivateMode = 0600;

struct Pack {
  std::vector<std::string> from;
  std::string out;
};

// The files that are meant: of a directory all that are in it.
Result<std::vector<fs::path>> paths_of(const std::vector<std::string>& from) {
  std::vector<fs::path> paths;
  for (const std::string& each : from) {
    std::error_code failed;
    if (!fs::is_directory(each, failed)) {
      paths.emplace_back(each);
      continue;
    }
    for (fs::directory_iterator at(each, failed), end; !failed && at != end; at.increment(failed)) paths.push_back(at->path());
    if (failed) return fail_errno(failed.value(), "list", each);
  }
  return paths;
}

Result<Fd> open_regular(const fs::path& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "look at", path);
  if (!S_ISREG(status.st_mode)) return fail(Errc::kDenied, "pack what is no regular file", path);
  return file;
}

// What is read lies in secret memory, and so does the list that is made of it.
Result<Digest> pack(const Pack& what) {
  const auto arena = SecretArena::make();
  if (!arena) return forward(arena.error());
  auto read = arena->take(drive::kMaxContent), content = arena->take(drive::kMaxContent);
  if (!read || !content) return forward(!read ? read.error() : content.error());
  const auto paths = paths_of(what.from);
  if (!paths) return forward(paths.error());
  std::list<std::string> names;
  std::vector<drive::File> files;
  std::span<std::uint8_t> room = read->bytes();
  for (const fs::path& path : *paths) {
    const auto file = open_regular(path);
    if (!file) return forward(file.error());
    if (!drive::is_file_name(path.filename().native())) return fail(Errc::kMalformed, "pack a file of such a name (a letter, digit or _, then those and .-; at most 48)", path);
    const auto size = read_into(*file, room, path);
    if (!size && size.error().code == Errc::kLimit) return fail(Errc::kLimit, "pack more than 65536 bytes", path);
    if (!size) return forward(size.error());
    files.push_back({names.emplace_back(path.filename()), room.first(*size)});
    room = room.subspan(*size);
  }
  const auto size = drive::write_files(std::move(files), content->bytes());
  if (!size) return forward(size.error());
  const std::string_view packed = text_of(content->bytes().first(*size));
  if (auto written = planner::create_file(what.out, packed, kPrivateMode); !written) return forward(written.error());
  return sha256(packed);
}

}  // namespace

void add_drive_commands(CLI::App& app, Context& context) {
  CLI::App* drive = app.add_subcommand("drive", "what secrets and config drives carry (docs/drives.md)");
  drive->require_subcommand(1);
  auto what = std::make_shared<Pack>();
  CLI::App* command = drive->add_subcommand("pack", "make of files what a drive carries; prints the digest that a projection names it by");
  command->footer("Example:\n  mvm drive pack secrets/ --out acme.secrets\n  mvm key seal --secrets acme.secrets ...   # and secrets=DIGEST in the projection");
  command->add_option("from", what->from, "files, or directories of files")->required();
  command->add_option("--out", what->out, "where it goes (0600); never overwritten")->required();
  command->callback([&context, what] {
    const auto digest = pack(*what);
    if (!digest) {
      context.exit_code = error(context.output, digest.error().message());
    } else if (context.output.json) {
      std::cout << Json{{"content", what->out}, {"digest", to_string(*digest)}}.dump(2) << '\n';
    } else {
      std::cout << to_string(*digest) << '\n';
    }
  });
}

}  // namespace mvm::cli
