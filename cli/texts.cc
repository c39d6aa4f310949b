#include "cli/texts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/fd.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::cli {
namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.front() != '#') lines.emplace_back(line);
  }
  return lines;
}

std::size_t header_lines(lang::Kind kind) {
  switch (kind) {
    case lang::Kind::kPolicy: return 2;
    case lang::Kind::kManifest: return 2;
    case lang::Kind::kProjection: return 3;
    case lang::Kind::kState: return 4;
    case lang::Kind::kPlan: return 5;
  }
  return 0;
}

std::string sealed(lang::Kind kind, std::string body) {
  const Digest digest = sha256(body);
  return body + (kind == lang::Kind::kPolicy ? "end\n" : "end " + to_string(digest) + "\n");
}

TextResult<lang::Document> parsed(lang::Kind kind, std::string_view text) {
  auto document = lang::parse(kind, text);
  if (!document) return std::unexpected(TextError(document.error()));
  return std::move(*document);
}

}  // namespace

std::optional<lang::Kind> kind_of(std::string_view text) {
  const std::vector<std::string> lines = lines_of(text.substr(0, 4096));
  if (lines.empty()) return std::nullopt;
  for (const lang::Kind kind : lang::kKinds) {
    if (lines[0] == "mvm-" + std::string(lang::to_string(kind)) + " 1") return kind;
  }
  return std::nullopt;
}

// People name what they like here: a symlink, a pipe, `<(mvm plan make ...)`.
Result<std::string> read_text(const std::string& path) {
  const Fd opened(path == "-" ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (path != "-" && !opened.valid()) return fail_errno(errno, "open", path);
  const int fd = opened.valid() ? opened.get() : STDIN_FILENO;
  std::string text;
  char buffer[65536];
  while (text.size() <= lang::kMaxTextBytes) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    const int saved = errno;
    if (count < 0 && saved == EINTR) continue;
    if (count < 0) return fail_errno(saved, "read", path);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return fail(Errc::kLimit, "read (more than 1 MiB)", path);
}

TextResult<lang::Document> load(lang::Kind kind, const std::string& path) {
  auto text = read_text(path);
  if (!text) return std::unexpected(TextError(text.error()));
  return parsed(kind, *text);
}

TextResult<lang::Document> load_any(const std::string& path) {
  auto text = read_text(path);
  if (!text) return std::unexpected(TextError(text.error()));
  const auto kind = kind_of(*text);
  if (!kind) {
    return std::unexpected(TextError(Error{Errc::kMalformed, 0, "tell what kind of text it is (its first line names none)", path}));
  }
  return parsed(*kind, *text);
}

TextResult<std::string> format(std::string_view text) {
  const auto kind = kind_of(text);
  std::vector<std::string> lines = lines_of(text);
  if (!kind || lines.size() < header_lines(*kind)) {
    return std::unexpected(TextError(Error{Errc::kMalformed, 0, "tell what kind of text it is (its first line names none)", {}}));
  }
  if (lines.back() == "end" || lines.back().starts_with("end ")) lines.pop_back();
  const auto first = lines.begin() + static_cast<std::ptrdiff_t>(header_lines(*kind));
  if (*kind != lang::Kind::kPlan) {
    // Each statement is read in a text of its own, to learn its place.
    std::string header;
    std::for_each(lines.begin(), first, [&](const std::string& line) { header += line + "\n"; });
    std::vector<std::pair<lang::Statement, std::string>> statements;
    for (auto line = first; line != lines.end(); ++line) {
      auto alone = parsed(*kind, sealed(*kind, header + *line + "\n"));
      if (!alone) {
        if (auto* refusal = std::get_if<lang::Refusal>(&alone.error()); refusal != nullptr && refusal->line > header_lines(*kind)) {
          refusal->line = static_cast<std::uint32_t>(line - lines.begin() + 1);
        }
        return std::unexpected(alone.error());
      }
      statements.emplace_back(alone->statements.front(), *line);
    }
    std::ranges::stable_sort(statements, lang::canonical_less, [](const auto& entry) { return entry.first; });
    auto out = first;
    for (auto& [statement, line] : statements) *out++ = std::move(line);
  }
  std::string body;
  for (const std::string& line : lines) body += line + "\n";
  std::string whole = sealed(*kind, std::move(body));
  auto document = parsed(*kind, whole);
  if (!document) return std::unexpected(document.error());
  return whole;
}

}  // namespace mvm::cli
