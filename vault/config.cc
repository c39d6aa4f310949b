#include "vault/config.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/digest.h"

namespace mvm::vault {
namespace {

constexpr std::string_view kHead = "mvm-vault 1", kKeyPrefix = "ed25519:";

// The lines that count, one after the other; and what is wrong with the first that is.
class Lines {
 public:
  explicit Lines(std::string_view text) : left_(text) { next(); }
  [[nodiscard]] std::string_view line() const { return line_; }
  [[nodiscard]] bool at_end() const { return at_end_; }
  void next() {
    do {
      at_end_ = left_.empty();
      const auto end = left_.find('\n');
      line_ = left_.substr(0, end);
      whole_ = end != std::string_view::npos;
      left_.remove_prefix(whole_ ? end + 1 : left_.size());
      ++number_;
    } while (!at_end_ && (line_.empty() || line_.starts_with('#')));
  }
  // The values of `word name=value ...`, with exactly those names; then on to the next line.
  [[nodiscard]] std::optional<std::vector<std::string_view>> fields(std::string_view word, std::initializer_list<std::string_view> names) {
    std::string_view rest = line_;
    if (!whole_ || !rest.starts_with(word)) return std::nullopt;
    rest.remove_prefix(word.size());
    std::vector<std::string_view> values;
    for (const std::string_view name : names) {
      if (!rest.starts_with(' ')) return std::nullopt;
      rest.remove_prefix(1);
      if (!name.empty()) {
        if (!rest.starts_with(name) || !rest.substr(name.size()).starts_with('=')) return std::nullopt;
        rest.remove_prefix(name.size() + 1);
      }
      const std::string_view value = rest.substr(0, rest.find(' '));
      values.push_back(value);
      rest.remove_prefix(value.size());
    }
    if (!rest.empty()) return std::nullopt;
    next();
    return values;
  }
  [[nodiscard]] std::unexpected<Error> wrong(std::string_view wanted) const {
    return fail(Errc::kMalformed, "read the configuration", "line " + std::to_string(number_) + " is not: " + std::string(wanted));
  }

 private:
  std::string_view left_, line_;
  std::size_t number_ = 0;
  bool at_end_ = false, whole_ = true;
};

bool is_path(std::string_view text) {
  for (std::size_t names = 1; names <= kMaxPathNames; ++names) {
    const auto end = text.find('/');
    if (!Name::from(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
  return false;
}

// Labels of letters, digits and hyphens, the last of which is no number: so it is no address.
bool is_server_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxServerName) return false;
  while (true) {
    const std::string_view label = text.substr(0, text.find('.'));
    const bool sound = !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
                       std::ranges::all_of(label, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
    if (!sound) return false;
    if (label.size() == text.size()) return std::ranges::any_of(label, [](char c) { return c >= 'a' && c <= 'z'; });
    text.remove_prefix(label.size() + 1);
  }
}

std::optional<std::uint16_t> number(std::string_view text, std::uint16_t least, std::uint16_t most) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  if (value < least || value > most) return std::nullopt;
  return value;
}

bool is_address(std::string_view text) {
  for (int octet = 0; octet < 4; ++octet) {
    const std::string_view digits = text.substr(0, octet == 3 ? text.size() : text.find('.'));
    if (!number(digits, 0, 255)) return false;
    if (octet < 3 && digits.size() == text.size()) return false;
    text.remove_prefix(digits.size() + (octet < 3 ? 1 : 0));
  }
  return true;
}

}  // namespace

Result<Config> parse_config(std::string_view text) {
  if (text.size() > kMaxConfig) return fail(Errc::kLimit, "read the configuration");
  Config out;
  Lines lines(text);
  if (!lines.fields(kHead, {})) return lines.wrong(kHead);

  constexpr std::string_view kNode = "node NAME", kIdentity = "identity ed25519:HEX";
  const Lines at_node = lines;
  const auto node = lines.fields("node", {""});
  const auto node_name = node ? Name::from((*node)[0]) : std::nullopt;
  if (!node_name) return at_node.wrong(kNode);
  out.node = *node_name;

  const Lines at_identity = lines;
  const auto identity = lines.fields("identity", {""});
  const auto key = identity && (*identity)[0].starts_with(kKeyPrefix) ? hex32((*identity)[0].substr(kKeyPrefix.size())) : std::nullopt;
  if (!key) return at_identity.wrong(kIdentity);
  out.identity = *key;

  const Lines at_server = lines;
  const auto server = lines.fields("server", {"name", "address", "port"});
  const auto port = server && is_server_name((*server)[0]) && is_address((*server)[1]) ? number((*server)[2], 1, 65'535) : std::nullopt;
  if (!port) return at_server.wrong("server name=DNS-NAME address=IPV4 port=NUMBER");
  out.server = (*server)[0], out.address = (*server)[1], out.port = *port;

  const Lines at_login = lines;
  const auto login = lines.fields("login", {"mount", "role"});
  const auto role = login && is_path((*login)[0]) ? Name::from((*login)[1]) : std::nullopt;
  if (!role) return at_login.wrong("login mount=PATH role=NAME");
  out.login_mount = (*login)[0], out.role = *role;

  const Lines at_kv = lines;
  const auto kv = lines.fields("kv", {"mount", "prefix", "field"});
  const auto field = kv && is_path((*kv)[0]) && is_path((*kv)[1]) ? Name::from((*kv)[2]) : std::nullopt;
  if (!field) return at_kv.wrong("kv mount=PATH prefix=PATH field=NAME");
  out.kv_mount = (*kv)[0], out.kv_prefix = (*kv)[1], out.field = *field;

  if (lines.line().starts_with("transit")) {
    const Lines at_transit = lines;
    const auto transit = lines.fields("transit", {"mount", "prefix"});
    if (!transit || !is_path((*transit)[0]) || !Name::from((*transit)[1])) return at_transit.wrong("transit mount=PATH prefix=NAME");
    out.transit = Transit{std::string((*transit)[0]), std::string((*transit)[1])};
  }
  const Lines at_last = lines;
  if (!lines.fields("end", {})) return at_last.wrong("end");
  if (!lines.at_end()) return lines.wrong("the end of the file");
  return out;
}

std::string login_path(const Config& config) { return "auth/" + config.login_mount + "/login"; }

std::string kv_path(const Config& config, const Name& tenant, std::uint32_t version) {
  return config.kv_mount + "/data/" + config.kv_prefix + "/" + std::string(tenant.view()) + "?version=" + std::to_string(version);
}

std::string transit_path(const Transit& transit, const Name& tenant) {
  return transit.mount + "/decrypt/" + transit.prefix + "-" + std::string(tenant.view());
}

}  // namespace mvm::vault
