#include "vault/answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vault/base64.h"

namespace mvm::vault {
namespace {

using Json = nlohmann::json;
using Path = std::span<const std::string_view>;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool is_letter_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// The events of one text. Takes a string at one path and a number at another, each once; a path that is there twice has two values, so it
// has none. Returning false ends the parse.
class Taken final : public Json::json_sax_t {
 public:
  Taken(const SecretArena& arena, Path text, Path number = {}) : arena_(arena), text_path_(text), number_path_(number) {}

  bool null() override { return is_not(text_path_) && is_not(number_path_); }
  bool boolean(bool) override { return null(); }
  bool number_integer(number_integer_t) override { return null(); }
  bool number_float(number_float_t, const string_t&) override { return null(); }
  bool binary(binary_t&) override { return false; }
  bool number_unsigned(number_unsigned_t value) override {
    if (!is_not(text_path_)) return false;
    if (is_not(number_path_)) return true;
    if (number_) return false;
    number_ = value;
    return true;
  }
  bool string(string_t& value) override {
    if (!is_not(number_path_)) return false;
    if (is_not(text_path_)) return true;
    if (text_) return false;
    auto taken = arena_.take(value.size());  // kLimit of nothing, too
    if (!taken) return false;
    std::ranges::copy(value, taken->bytes().begin());
    text_ = *std::move(taken);
    return true;
  }
  bool start_object(std::size_t) override { return go_in(); }
  bool key(string_t& name) override {
    path_.back() = name;
    return true;
  }
  bool end_object() override { return go_out(); }
  bool start_array(std::size_t) override { return go_in(); }
  bool end_array() override { return go_out(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  std::optional<Secret> text_;
  std::optional<std::uint64_t> number_;

 private:
  bool go_in() {
    if (!null() || path_.size() == kMaxDepth) return false;
    path_.emplace_back();  // a list's elements have no name
    return true;
  }
  bool go_out() {
    path_.pop_back();
    return true;
  }
  [[nodiscard]] bool is_not(Path path) const { return path.empty() || !std::ranges::equal(path, path_); }

  const SecretArena& arena_;
  Path text_path_, number_path_;
  std::vector<std::string> path_;
};

std::unexpected<Failure> garbage(std::string what) { return failed(Problem::kGarbage, std::move(what)); }

bool parse(Bytes json, Taken& taken) {
  if (json.size() > kMaxAnswer) return false;
  return Json::sax_parse(json.begin(), json.end(), &taken);
}

Fetched<Secret> one_text(const SecretArena& arena, Bytes json, Path path, const char* what) {
  Taken taken(arena, path);
  if (!parse(json, taken)) return garbage(std::string("the answer is no JSON with ") + what);
  if (!taken.text_) return garbage(std::string("the answer has no ") + what);
  return *std::move(taken.text_);
}

}  // namespace

std::string_view to_string(Problem problem) {
  switch (problem) {
    case Problem::kUnreachable: return "unreachable";
    case Problem::kTimeout: return "timeout";
    case Problem::kCut: return "cut";
    case Problem::kNotTrusted: return "not-trusted";
    case Problem::kNotTrustedByIt: return "not-trusted-by-it";
    case Problem::kSealed: return "sealed";
    case Problem::kServerError: return "server-error";
    case Problem::kBusy: return "busy";
    case Problem::kDenied: return "denied";
    case Problem::kNotFound: return "not-found";
    case Problem::kRedirected: return "redirected";
    case Problem::kOtherStatus: return "other-status";
    case Problem::kTooLong: return "too-long";
    case Problem::kGarbage: return "garbage";
    case Problem::kWrongVersion: return "wrong-version";
    case Problem::kNotAKey: return "not-a-key";
    case Problem::kHere: return "here";
  }
  return "unknown";
}

Fetched<Secret> read_token(const SecretArena& arena, Bytes json) {
  static constexpr std::string_view kPath[] = {"auth", "client_token"};
  auto token = one_text(arena, json, kPath, "auth.client_token");
  if (!token) return token;
  const bool sound = token->size() <= kMaxToken && std::ranges::all_of(text_of(token->bytes()), [](char c) {
    return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == '=';
  });
  if (!sound) return garbage("a token that is none");
  return token;
}

Fetched<Secret> read_stored(const SecretArena& arena, Bytes json, const Name& field, std::uint32_t version) {
  const std::string_view path[] = {"data", "data", field.view()};
  static constexpr std::string_view kVersion[] = {"data", "metadata", "version"};
  Taken taken(arena, path, kVersion);
  if (!parse(json, taken)) return garbage("the answer is no JSON of KV version 2");
  if (!taken.number_) return garbage("the answer has no data.metadata.version: is the mount KV version 2?");
  if (*taken.number_ != version) return failed(Problem::kWrongVersion, "version " + std::to_string(*taken.number_) + " came");
  if (!taken.text_) return garbage("the answer has no field " + std::string(field.view()));
  return *std::move(taken.text_);
}

Fetched<Secret> read_plaintext(const SecretArena& arena, Bytes json) {
  static constexpr std::string_view kPath[] = {"data", "plaintext"};
  return one_text(arena, json, kPath, "data.plaintext");
}

Fetched<Secret> read_key(const SecretArena& arena, Bytes base64) {
  auto key = arena.take(kKeyBytes);
  if (!key) return failed(Problem::kHere, key.error().message());
  const auto size = decode_base64(base64, key->bytes());
  if (size != kKeyBytes) return failed(Problem::kNotAKey, "it is not 32 bytes in base64");
  return *std::move(key);
}

bool is_ciphertext(Bytes bytes) {
  constexpr std::string_view kBegin = "vault:v";
  std::string_view text = text_of(bytes);
  if (text.size() > kMaxCiphertext || !text.starts_with(kBegin)) return false;
  text.remove_prefix(kBegin.size());
  const auto digits = text.find(':');
  if (digits == std::string_view::npos || digits == 0 || digits > 9) return false;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string_view rest = text.substr(digits + 1);
  return std::ranges::all_of(text.substr(0, digits), is_digit) && !rest.empty() &&
         std::ranges::all_of(rest, [](char c) { return is_letter_or_digit(c) || c == '+' || c == '/' || c == '='; });
}

}  // namespace mvm::vault
