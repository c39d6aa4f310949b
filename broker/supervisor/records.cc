#include "broker/supervisor/records.h"

#include <algorithm>

#include "policy-lang/print.h"

namespace mvm::supervisor {
namespace {

// As many as a state has lines, twice for those with a snapshot or a base, and the header.
constexpr std::string_view kPoolSuffix = ".pool";  // no instance is named so
constexpr std::size_t kMaxRecords = 2 * lang::kMaxStatements + 1;

std::string newest_name(const Subject& whose) { return record_name(whose) + std::string(kNewestSuffix); }

std::unexpected<Error> corrupt(const char* what, const std::string& name) { return fail(Errc::kCorrupt, what, "record " + name); }

}  // namespace

std::string record_name(const Subject& subject) {
  std::string name = to_string(subject);
  std::ranges::replace(name, '/', '.');  // no name of ours has a dot
  return subject.kind == SubjectKind::kPool ? name + std::string(kPoolSuffix) : name;
}

bool is_record(const std::string& name, const Name& node, const lang::Document& document) {
  if (document.kind != lang::Kind::kState || document.header.node != node) return false;
  if (name == kHeaderRecord) return document.statements.empty();
  if (document.statements.empty()) return false;
  const Subject subject = document.statements.front().subject;
  return record_name(subject) == name &&
         std::ranges::all_of(document.statements, [&](const auto& line) { return line.subject == subject; });
}

Status Records::write(const HostState& state, const Subject& subject, Keep keep) const {
  lang::Document record{lang::Kind::kState, state.header, state.lines_of(subject)};
  if (record.statements.empty()) return remove_file(directory_, record_name(subject), keep);
  const bool durable = std::ranges::any_of(record.statements, [](const auto& line) { return lang::row(line.word).durable; });
  if (durable && keep == Keep::kOverCrash) keep = Keep::kOldOrNew;
  return write_file(directory_, record_name(subject), lang::print(record), keep);
}

Status Records::write_header(const HostState& state) const {
  return write_file(directory_, std::string(kHeaderRecord), lang::print(lang::Document{lang::Kind::kState, state.header, {}}),
                    Keep::kOverPowerCut);
}

Status Records::write_newest(const Subject& whose, const Digest& file) const {
  return write_file(directory_, newest_name(whose), to_hex(file.bytes) + "\n", Keep::kOverPowerCut);
}

Status Records::forget_newest(const Subject& whose) const { return remove_file(directory_, newest_name(whose), Keep::kOverPowerCut); }

Result<Digest> Records::newest(const Subject& whose) const {
  const auto text = read_file(directory_, newest_name(whose), 2 * sizeof(Digest) + 1);
  if (!text) return forward(text.error());
  const auto bytes = text->ends_with('\n') ? hex32(std::string_view(*text).substr(0, text->size() - 1)) : std::nullopt;
  if (!bytes) return corrupt("read", newest_name(whose));
  return Digest{*bytes};
}

Result<HostState> Records::load(const Name& node, Boot boot, const ParseState& parse) const {
  const auto names = list_directory(directory_, kMaxRecords);
  if (!names) return forward(names.error());
  HostState state;
  state.header.node = node;
  for (const std::string& name : *names) {
    if (name.ends_with(kNewestSuffix)) continue;
    const auto text = read_file(directory_, name, kMaxRecordBytes);
    if (!text) return forward(text.error());
    if (text->empty() && boot == Boot::kAnother && name != kHeaderRecord) {
      if (auto removed = remove_file(directory_, name, Keep::kOverCrash); !removed) return forward(removed.error());
      continue;
    }
    const auto record = parse(*text);
    if (!record) return forward(record.error());
    if (!is_record(name, node, *record)) return corrupt("read what another name or node should have", name);
    if (name == kHeaderRecord) state.header = record->header;
    for (const auto& line : record->statements) state.put(line);
  }
  if (!names->empty() && !std::ranges::binary_search(*names, kHeaderRecord)) return corrupt("find", std::string(kHeaderRecord));
  return state;
}

}  // namespace mvm::supervisor
