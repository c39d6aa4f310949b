#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>

#include "base/digest.h"
#include "cli/commands.h"
#include "cli/texts.h"
#include "planner/files.h"
#include "planner/signing.h"

namespace mvm::cli {
namespace {

constexpr std::string_view kKeyPrefix = "ed25519:";

struct KeyFiles {
  std::string key, text, signature;
};

std::string spelled(const planner::PublicKey& key) { return std::string(kKeyPrefix) + to_hex(key); }

int keygen(const Context& context, const KeyFiles& files) {
  auto pair = planner::generate_key();
  if (!pair) return error(context.output, pair.error().message());
  if (auto made = planner::create_file(files.key, pair->private_pem, 0600); !made) return error(context.output, made.error().message());
  if (context.output.json) std::cout << Json{{"private", files.key}, {"public", spelled(pair->public_key)}}.dump(2) << '\n';
  else std::cout << spelled(pair->public_key) << '\n';
  return kOk;
}

int sign_text(const Context& context, const KeyFiles& files) {
  auto pem = planner::read_file(AT_FDCWD, files.key, planner::kMaxPem);
  if (!pem) return error(context.output, pem.error().message());
  // What is signed is what hostd will take: a projection that does not parse is not signed.
  auto projection = load(lang::Kind::kProjection, files.text);
  if (!projection) return report(context, files.text, projection.error());
  auto bytes = read_text(files.text);
  if (!bytes) return error(context.output, bytes.error().message());
  auto signature = planner::sign(*pem, *bytes);
  std::fill(pem->begin(), pem->end(), '\0');
  if (!signature) return error(context.output, signature.error().message());
  const std::string out = files.signature.empty() ? files.text + ".sig" : files.signature;
  const std::string_view raw(reinterpret_cast<const char*>(signature->data()), signature->size());
  if (auto written = planner::replace_file(out, raw, 0644); !written) return error(context.output, written.error().message());
  if (context.output.json) std::cout << Json{{"signature", out}}.dump(2) << '\n';
  return kOk;
}

int verify_text(const Context& context, const KeyFiles& files) {
  const auto key = files.key.starts_with(kKeyPrefix) ? hex32(std::string_view(files.key).substr(kKeyPrefix.size())) : std::nullopt;
  if (!key) return error(context.output, "a public key is ed25519: and 64 lower-case hex digits");
  auto bytes = read_text(files.text);
  if (!bytes) return error(context.output, bytes.error().message());
  const std::string from = files.signature.empty() ? files.text + ".sig" : files.signature;
  auto raw = planner::read_file(AT_FDCWD, from, sizeof(planner::Signature));
  if (!raw) return error(context.output, raw.error().message());
  planner::Signature signature{};
  const bool whole = raw->size() == signature.size();
  if (whole) std::ranges::copy(*raw, signature.begin());
  const bool good = whole && planner::signed_by(*key, *bytes, signature);
  if (context.output.json) std::cout << Json{{"good", good}}.dump(2) << '\n';
  else std::cout << (good ? tint(context.output, Tint::kGood, "good") : tint(context.output, Tint::kBad, "bad")) << " signature\n";
  return good ? kOk : kRefused;
}

}  // namespace

void add_key_commands(CLI::App& app, Context& context) {
  auto files = std::make_shared<KeyFiles>();
  CLI::App* make = app.add_subcommand("keygen", "make a coordinator's signing key; prints its public half, as a policy names it");
  make->footer("Example:\n  mvm keygen coordinator.pem");
  make->add_option("file", files->key, "where the private key goes (PKCS #8 PEM, 0600); never overwritten")->required();
  make->callback([&context, files] { context.exit_code = keygen(context, *files); });

  CLI::App* sign = app.add_subcommand("sign", "sign a projection (Ed25519 over its exact bytes)");
  sign->footer("Example:\n  mvm sign node-7.projection --key coordinator.pem");
  sign->add_option("projection", files->text, "the projection")->required();
  sign->add_option("--key", files->key, "the private key")->required();
  sign->add_option("--out", files->signature, "where the 64 bytes go; default: the projection's name and .sig");
  sign->callback([&context, files] { context.exit_code = sign_text(context, *files); });

  CLI::App* verify = app.add_subcommand("verify", "check a signature, as openssl pkeyutl -verify -rawin does; exit 0 good, 1 bad");
  verify->footer("Example:\n  mvm verify node-7.projection --key ed25519:3b6a...");
  verify->add_option("projection", files->text, "the projection")->required();
  verify->add_option("--key", files->key, "the public key, as keygen printed it")->required();
  verify->add_option("--signature", files->signature, "default: the projection's name and .sig");
  verify->callback([&context, files] { context.exit_code = verify_text(context, *files); });
}

}  // namespace mvm::cli
