#include "vault/round.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/owned.h"
#include "planner/files.h"
#include "planner/offer.h"
#include "sealing/seal.h"
#include "sealing/wanted.h"

namespace mvm::vault {
namespace {

using sealing::Label;
constexpr unsigned kEnvelopeMode = 0644;  // ciphertext, for agentd to read
constexpr std::string_view kSuffix = ".sealed";

sealing::Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

Failure here(const Error& error) { return {Problem::kHere, error.message()}; }

std::string path_of(const Places& places, const std::string& name) { return places.sealed + "/" + name; }

// Whether that envelope lies there already, or another that is of no use any more.
enum class Lies : std::uint8_t { kNot, kGood, kOver };
Lies lies(const std::string& path, std::uint64_t generation, const Digest& recipient, const sealing::PublicKey& signer) {
  const auto text = planner::read_file(AT_FDCWD, path, sealing::kMaxEnvelope);
  if (!text) return text.error().sys_errno == ENOENT ? Lies::kNot : Lies::kOver;
  const auto envelope = sealing::read_envelope(bytes_of(*text));
  if (!envelope) return Lies::kOver;
  return envelope->label.generation == generation && envelope->recipient == recipient && envelope->signer == signer ? Lies::kGood : Lies::kOver;
}

// Takes away what was sealed for another generation, or to another start. What cannot be taken away stays: nobody can use it.
void sweep(const Means& means, std::uint64_t generation, const Digest& recipient) {
  const Owned<DIR, &closedir> directory(opendir(means.places.sealed.c_str()));
  if (!directory) return;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory.get())) {
    if (std::string_view(entry->d_name).ends_with(kSuffix)) names.emplace_back(entry->d_name);
  }
  for (const std::string& name : names) {
    const std::string path = path_of(means.places, name);
    if (lies(path, generation, recipient, means.signer.public_key()) == Lies::kOver) (void)planner::remove_file(path);
  }
}

Fetched<void> seal_one(const Means& means, Source& source, const Label& label, const sealing::PublicKey& recipient) {
  const auto key = source.key(label.tenant, label.version);
  if (!key) return std::unexpected(key.error());
  const auto sign = [&](std::string_view bytes) { return means.signer.sign(bytes); };
  const auto envelope = sealing::seal(means.arena, label, recipient, means.signer.public_key(), sign, key->bytes());
  if (!envelope) return std::unexpected(here(envelope.error()));
  const std::string_view text(reinterpret_cast<const char*>(envelope->data()), envelope->size());
  const auto written = planner::replace_file(path_of(means.places, sealing::envelope_name(label)), text, kEnvelopeMode);
  if (!written) return std::unexpected(here(written.error()));
  return {};
}

// One after the other. Where it is the server that fails, the rest is not asked for.
void seal_all(const Means& means, const std::vector<Label>& labels, const sealing::PublicKey& recipient, Report& report) {
  auto source = Source::log_in(means.config, means.certificates, means.arena, means.timeouts);
  if (!source) {
    report.failure = source.error();
    for (const Label& label : labels) report.missed.push_back({label, source.error()});
    return;
  }
  for (const Label& label : labels) {
    if (report.failure) {
      report.missed.push_back({label, *report.failure});
      continue;
    }
    const auto sealed = seal_one(means, *source, label, recipient);
    if (sealed) {
      report.sealed.push_back(label);
      continue;
    }
    report.missed.push_back({label, sealed.error()});
    if (is_of_the_server(sealed.error().problem)) report.failure = sealed.error();
  }
  if (report.failure && report.failure->problem != Problem::kHere) return;  // it would only wait once more
  const auto gone = (*std::move(source)).log_out();
  if (!gone) report.log_out = gone.error();
}

}  // namespace

Report serve_round(const Means& means) {
  Report report;
  const auto text = planner::read_file(AT_FDCWD, means.places.wanted, sealing::kMaxWanted);
  if (!text && text.error().sys_errno == ENOENT) return report;
  const auto wanted = text ? sealing::read_wanted(bytes_of(*text)) : forward(text.error());
  const auto offer = wanted ? planner::check_offer(wanted->offer, means.config.identity, means.config.node) : forward(wanted.error());
  const Status noted = offer ? planner::note_start(*offer, means.places.starts) : forward(offer.error());
  if (!noted) {
    report.failure = here(noted.error());
    return report;
  }
  report.generation = wanted->generation;
  const Digest recipient = sealing::key_id(offer->key);
  sweep(means, wanted->generation, recipient);
  std::vector<Label> labels;
  for (const Label& label : wanted->labels) {
    if (label.purpose != sealing::Purpose::kTenantKey) continue;  // content is another's to seal
    if (lies(path_of(means.places, sealing::envelope_name(label)), wanted->generation, recipient, means.signer.public_key()) == Lies::kGood) continue;
    labels.push_back(label);
  }
  if (!labels.empty()) seal_all(means, labels, offer->key, report);
  return report;
}

std::string to_json(const Report& report) {
  const auto told = [](const Failure& failure) { return nlohmann::ordered_json{{"problem", std::string(to_string(failure.problem))}, {"detail", failure.detail}}; };
  nlohmann::ordered_json json;
  json["outcome"] = report.failure ? "failed" : report.missed.empty() ? "good" : "misses";
  json["generation"] = report.generation;
  json["failure"] = report.failure ? told(*report.failure) : nlohmann::ordered_json();
  json["missed"] = nlohmann::ordered_json::array();
  for (const Missed& missed : report.missed) {
    auto one = told(missed.failure);
    one["label"] = to_string(missed.label);
    json["missed"].push_back(std::move(one));
  }
  return json.dump(2) + "\n";
}

}  // namespace mvm::vault
