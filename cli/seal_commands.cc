// mvm key: the sealing side, as a coordinator has it: a node's identity, its offer, and envelopes that are sealed to it. Keys come from files
// that their owner alone may read, or from standard input, into secret memory; never from an argument or the environment.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <memory>

#include "base/fd.h"
#include "cli/commands.h"
#include "cli/host.h"
#include "cli/secret_files.h"
#include "drive/files.h"
#include "planner/files.h"
#include "planner/keys.h"
#include "planner/offer.h"
#include "planner/signing.h"
#include "sealing/seal.h"

namespace mvm::cli {
namespace {

constexpr std::string_view kKeyPrefix = "ed25519:";
constexpr unsigned kPublicMode = 0644, kPrivateMode = 0600;

struct SealFiles {
  std::string out, offer, identity, node, signer, tenant, from = "-", starts, secrets, config;
  std::uint32_t version = 0;
  std::uint64_t generation = 0;
};

sealing::Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

Result<planner::PublicKey> public_key(const std::string& text) {
  const auto key = text.starts_with(kKeyPrefix) ? hex32(std::string_view(text).substr(kKeyPrefix.size())) : std::nullopt;
  if (!key) return fail(Errc::kMalformed, "read a public key (ed25519: and 64 lower-case hex digits)", text);
  return *key;
}

// Everything that is to be said against sealing to it has been looked for.
Result<sealing::Offer> trusted_offer(const SealFiles& files) {
  const auto identity = public_key(files.identity);
  if (!identity) return forward(identity.error());
  const auto node = Name::from(files.node);
  if (!node) return fail(Errc::kMalformed, "read the node's name", files.node);
  const auto bytes = planner::read_file(AT_FDCWD, files.offer, sealing::kOfferBytes);
  if (!bytes) return forward(bytes.error());
  auto offer = planner::check_offer(bytes_of(*bytes), *identity, *node);
  if (!offer || files.starts.empty()) return offer;
  if (auto noted = planner::note_start(*offer, files.starts); !noted) return forward(noted.error());
  return offer;
}

Result<Json> make_identity(const SealFiles& files) {
  if (auto locked = use_secure_heap(); !locked) return forward(locked.error());
  const auto arena = SecretArena::make();
  if (!arena) return forward(arena.error());
  auto raw = arena->take(sealing::kTenantKeyBytes);
  if (!raw) return forward(raw.error());
  const auto key = planner::generate_raw_key(raw->bytes().first<32>());
  if (!key) return forward(key.error());
  if (auto made = planner::create_file(files.out, text_of(raw->bytes()), kPrivateMode); !made) return forward(made.error());
  return Json{{"private", files.out}, {"public", std::string(kKeyPrefix) + to_hex(*key)}};
}

Result<Json> take_offer(const HostOptions& host, const SealFiles& files) {
  auto client = connect_host(host);
  if (!client) return forward(client.error());
  const auto asked = client->ask();
  if (!asked) return forward(asked.error());
  if (asked->offer.empty()) return fail(Errc::kNotFound, "take hostd's offer: it has no identity (mvm key identity --help)");
  if (auto written = planner::replace_file(files.out, text_of(asked->offer), kPublicMode); !written) return forward(written.error());
  return Json{{"offer", files.out}};
}

Json to_json(const sealing::Offer& offer) {
  return {{"node", std::string(offer.node.view())}, {"start", offer.start}, {"key", to_string(sealing::key_id(offer.key))}};
}

Result<Json> check(const SealFiles& files) {
  const auto offer = trusted_offer(files);
  if (!offer) return forward(offer.error());
  return to_json(*offer);
}

Result<sealing::Label> label_of(const SealFiles& files, const Name& node, const Secret& plaintext) {
  const auto tenant = Name::from(files.tenant);
  if (!tenant) return fail(Errc::kMalformed, "read the tenant's name", files.tenant);
  sealing::Label label{node, sealing::Purpose::kTenantKey, *tenant, files.version, {}, files.generation};
  if (files.version == 0) {
    label.purpose = files.secrets.empty() ? sealing::Purpose::kConfig : sealing::Purpose::kSecrets;
    label.digest = sha256(text_of(plaintext.bytes()));
  }
  return label;
}

Result<std::vector<std::uint8_t>> envelope_of(const SecretArena& arena, const SealFiles& files, const sealing::Offer& offer, const sealing::Label& label,
                                              const Secret& plaintext) {
  const auto pem = read_secret(arena, files.signer, planner::kMaxPem);
  if (!pem) return forward(pem.error());
  const auto signer = planner::public_of(text_of(pem->bytes()));
  if (!signer) return forward(signer.error());
  const auto sign = [&](std::string_view bytes) { return planner::sign(text_of(pem->bytes()), bytes); };
  return sealing::seal(arena, label, offer.key, *signer, sign, plaintext.bytes());
}

Result<Json> seal(const SealFiles& files) {
  if ((files.version != 0) + !files.secrets.empty() + !files.config.empty() != 1) {
    return fail(Errc::kMalformed, "seal (one of --version, --secrets and --config says what it is)");
  }
  const auto offer = trusted_offer(files);
  if (!offer) return forward(offer.error());
  if (auto locked = use_secure_heap(); !locked) return forward(locked.error());
  const auto arena = SecretArena::make();
  if (!arena) return forward(arena.error());
  const std::string& from = files.version != 0 ? files.from : files.secrets.empty() ? files.config : files.secrets;
  const auto plaintext = read_secret(*arena, from, sealing::kMaxContent);
  if (!plaintext) return forward(plaintext.error());
  if (files.version == 0) {
    if (const auto packed = drive::read_files(plaintext->bytes()); !packed) return fail(Errc::kMalformed, "seal what no drive can be made of (mvm drive pack): " + packed.error().message(), from);
  }
  const auto label = label_of(files, offer->node, *plaintext);
  if (!label) return forward(label.error());
  const auto envelope = envelope_of(*arena, files, *offer, *label, *plaintext);
  if (!envelope) return forward(envelope.error());
  const std::string out = files.out + "/" + sealing::envelope_name(*label);
  if (auto written = planner::replace_file(out, text_of(*envelope), kPublicMode); !written) return forward(written.error());
  return Json{{"sealed", to_string(*label)}, {"envelope", out}};
}

// The one value that a script wants, or all of them as JSON.
int answer(const Context& context, const Result<Json>& result, const char* what) {
  if (!result) {
    error(context.output, result.error().message());
    return result.error().code == Errc::kDenied ? kRefused : kError;
  }
  if (context.output.json) std::cout << result->dump(2) << '\n';
  else std::cout << (*result)[what].get<std::string>() << '\n';
  return kOk;
}

void with_offer(CLI::App* command, SealFiles& files) {
  command->add_option("--offer", files.offer, "the node's offer")->required();
  command->add_option("--identity", files.identity, "the node's identity, as mvm key identity printed it")->required();
  command->add_option("--node", files.node, "the node's name")->required();
  command->add_option("--starts", files.starts, "a file that keeps the newest start of that node that was seen; an older one is refused");
}

void add_seal(CLI::App* key, Context& context, const std::shared_ptr<SealFiles>& files) {
  CLI::App* seals = key->add_subcommand("seal", "seal a tenant's key, or what a drive carries, to a node; exit 1 where the offer is not to be trusted");
  seals->footer("Example:\n  mvm key seal --offer node-7.offer --identity ed25519:3b6a... --node node-7 --starts node-7.start --signer coordinator.pem --tenant acme --version 1 --generation 42 --from acme.key --out sealed/");
  with_offer(seals, *files);
  seals->add_option("--signer", files->signer, "private key of who may seal by the node's policy")->required();
  seals->add_option("--tenant", files->tenant, "the tenant")->required();
  seals->add_option("--generation", files->generation, "of the projection that it is for")->required()->check(CLI::Range(std::uint64_t{1}, sealing::kMaxGeneration));
  seals->add_option("--out", files->out, "the directory that the envelope goes to")->required();
  seals->add_option("--version", files->version, "of the tenant's key, whose 32 bytes are in --from")->check(CLI::Range(std::uint32_t{1}, sealing::kMaxKeyVersion));
  seals->add_option("--from", files->from, "the key: a file of mode 0600, or - for standard input")->capture_default_str();
  seals->add_option("--secrets", files->secrets, "a file with what a secrets drive carries");
  seals->add_option("--config", files->config, "a file with what a config drive carries");
  seals->callback([&context, files] { context.exit_code = answer(context, seal(*files), "envelope"); });
}

}  // namespace

void add_seal_commands(CLI::App& app, Context& context) {
  CLI::App* key = app.add_subcommand("key", "tenants' keys, sealed to a node's hostd (docs/keys.md)");
  key->require_subcommand(1);
  auto files = std::make_shared<SealFiles>();

  CLI::App* identity = key->add_subcommand("identity", "make a node's identity; prints its public half");
  identity->footer("Example:\n  mvm key identity node-7.key\n  systemd-creds encrypt --name=mvm-identity node-7.key /etc/credstore.encrypted/mvm-identity && shred -u node-7.key");
  identity->add_option("file", files->out, "where the 32 bytes go (0600); never overwritten")->required();
  identity->callback([&context, files] { context.exit_code = answer(context, make_identity(*files), "public"); });

  CLI::App* offer = key->add_subcommand("offer", "take the offer that this node's hostd makes now");
  offer->footer("Example:\n  mvm key offer node-7.offer");
  offer->add_option("file", files->out, "where its 144 bytes go")->required();
  offer->callback([&context, files] { context.exit_code = answer(context, take_offer(context.host, *files), "offer"); });

  CLI::App* checks = key->add_subcommand("check", "whether an offer is that node's, and from no older a start than was seen; exit 0 it is, 1 not");
  checks->footer("Example:\n  mvm key check --offer node-7.offer --identity ed25519:3b6a... --node node-7 --starts node-7.start");
  with_offer(checks, *files);
  checks->callback([&context, files] { context.exit_code = answer(context, check(*files), "key"); });

  add_seal(key, context, files);
}

}  // namespace mvm::cli
