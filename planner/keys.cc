#include "planner/keys.h"

#include <fcntl.h>

#include "planner/files.h"
#include "schemas/needs.h"
#include "sealing/bundle.h"

namespace mvm::planner {

std::optional<Digest> recipient_of(sealing::Bytes offer) {
  const auto read = sealing::read_offer(offer);
  if (!read) return std::nullopt;
  return sealing::key_id(read->offer.key);
}

const Envelopes::Bytes* Envelopes::find(const sealing::Label& label) {
  const auto known = found_.find(label);
  if (known != found_.end()) return &known->second;
  if (!whose_.recipient || missing_.contains(label)) return missing_.insert(label), nullptr;
  for (const std::string& directory : directories_) {
    if (directory.empty()) continue;
    const auto text = read_file(AT_FDCWD, directory + "/" + envelope_name(label), sealing::kMaxEnvelope);
    if (!text) continue;
    Bytes bytes(text->begin(), text->end());
    const auto envelope = sealing::read_envelope(bytes);
    if (!envelope || envelope->label != label || envelope->recipient != *whose_.recipient) continue;
    return &found_.emplace(label, std::move(bytes)).first->second;
  }
  missing_.insert(label);
  return nullptr;
}

std::vector<sealing::Label> Envelopes::needs_of(const lang::Statement& statement) const {
  const auto snapshot = whose_.snapshots.find(statement.subject);
  return wire::needs_of(statement, whose_.node, whose_.generation, snapshot == whose_.snapshots.end() ? nullptr : &snapshot->second);
}

std::map<Subject, lang::Statement> snapshots_in(const lang::Document& state) {
  std::map<Subject, lang::Statement> found;
  for (const lang::Statement& line : state.statements) {
    if (line.word == lang::Word::kSnapshot) found.emplace(line.subject, line);
  }
  return found;
}

std::optional<std::string> Envelopes::hinders(const lang::Statement& statement) {
  for (const sealing::Label& need : needs_of(statement)) {
    if (find(need) != nullptr) continue;
    const std::string waits = "it waits for " + to_string(need);
    if (!whose_.recipient) return waits + ", which nobody can seal: hostd has no identity (`mvm key identity`)";
    return waits + ", sealed for generation " + std::to_string(need.generation) + " to this start of hostd (`mvm key seal`)";
  }
  return std::nullopt;
}

Result<std::vector<std::uint8_t>> Envelopes::bundle(const std::vector<lang::Statement>& statements) {
  std::map<sealing::Label, Bytes> needed;
  for (const lang::Statement& statement : statements) {
    for (const sealing::Label& need : needs_of(statement)) {
      const Bytes* envelope = find(need);
      if (envelope != nullptr) needed.emplace(need, *envelope);
    }
  }
  std::vector<Bytes> envelopes;
  for (auto& [label, bytes] : needed) envelopes.push_back(std::move(bytes));
  return sealing::write_bundle(envelopes);
}

}  // namespace mvm::planner
