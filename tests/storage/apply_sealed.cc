// Submits a plan with the keys that it needs, sealed to what hostd offers now, as a coordinator would: for tests on a node.
//   apply_sealed PLAN PROJECTION COORDINATOR.PEM KEYS
// KEYS is a directory with a file of 32 bytes for each key: TENANT-VERSION. The projection's signature lies beside it (.sig).
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "planner/broker_client.h"
#include "planner/signing.h"
#include "policy-lang/parse.h"
#include "schemas/needs.h"
#include "sealing/bundle.h"
#include "sealing/offer.h"
#include "sealing/seal.h"

namespace mvm {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "apply_sealed: %s\n", result.error().message().c_str());
  std::exit(2);
}

std::vector<std::uint8_t> bundle_for(const lang::Document& plan, const lang::Document& state, const sealing::Offer& offer, const std::string& pem, const std::string& keys) {
  const auto arena = must(SecretArena::make());
  const auto signer = must(planner::public_of(pem));
  const sealing::Sign sign = [&](std::string_view bytes) { return planner::sign(pem, bytes); };
  std::set<sealing::Label> needs;
  for (const auto& labels : wire::needs_of_plan(plan, state)) needs.insert(labels.begin(), labels.end());
  std::vector<std::vector<std::uint8_t>> envelopes;
  for (const auto& label : needs) {
    const std::string key = content(keys + "/" + std::string(label.tenant.view()) + "-" + std::to_string(label.version));
    envelopes.push_back(must(sealing::seal(arena, label, offer.key, signer, sign, {reinterpret_cast<const std::uint8_t*>(key.data()), key.size()})));
  }
  return must(sealing::write_bundle(envelopes));
}

int apply(char** argv) {
  const std::string text = content(argv[1]), projection = content(argv[2]), pem = content(argv[3]), signature = content(std::string(argv[2]) + ".sig");
  const auto plan = lang::parse(lang::Kind::kPlan, text);
  if (!plan) return std::fprintf(stderr, "apply_sealed: %s\n", plan.error().message().c_str()), 2;
  auto asked = must(must(planner::BrokerClient::connect()).ask());
  const auto offer = must(sealing::read_offer(asked.offer));
  const auto state = lang::parse(lang::Kind::kState, asked.state);
  if (!state) return std::fprintf(stderr, "apply_sealed: %s\n", state.error().message().c_str()), 2;
  const auto bundle = bundle_for(*plan, *state, offer.offer, pem, argv[4]);
  planner::Submission submission{text, projection, {}, bundle, wire::Mode::kApply};
  if (signature.size() != submission.signature.size()) return std::fprintf(stderr, "apply_sealed: no signature\n"), 2;
  std::copy(signature.begin(), signature.end(), submission.signature.begin());
  auto client = must(planner::BrokerClient::connect());
  const auto last = must(client.submit(submission, [](const wire::Event& event) {
    const auto* progress = std::get_if<wire::Progress>(&event);
    if (progress != nullptr && progress->phase == wire::Phase::kFailed) std::printf("failed %s: %s\n", progress->line.c_str(), progress->error.message().c_str());
  }));
  if (const auto* refused = std::get_if<wire::Refused>(&last)) return std::printf("refused: %s\n", refused->refusal.message().c_str()), 1;
  const auto* finished = std::get_if<wire::Finished>(&last);
  return finished != nullptr && finished->complete() ? 0 : 1;
}

}  // namespace
}  // namespace mvm

int main(int argc, char** argv) { return argc == 5 ? mvm::apply(argv) : 64; }
