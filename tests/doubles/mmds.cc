#include "tests/doubles/mmds.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>

namespace mvm::doubles {
namespace {

constexpr std::uint64_t kLeastTtl = 1, kMostTtl = 21'600;  // seconds

struct Request {
  std::string method, path;
  std::map<std::string, std::string> headers;  // names in lower case
};

Request read(const std::string& line) {
  std::istringstream words(line);
  Request request;
  words >> request.method >> request.path;
  for (std::string word; words >> word;) {
    const std::size_t colon = word.find(':');
    std::string name = word.substr(0, colon);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[name] = colon == std::string::npos ? "" : word.substr(colon + 1);
  }
  for (std::size_t at; (at = request.path.find("//")) != std::string::npos;) request.path.erase(at, 1);
  return request;
}

std::optional<std::string> header(const Request& request, const std::string& name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::nullopt : std::optional(found->second);
}

std::string new_token() {
  std::array<unsigned char, 24> bytes{};
  (void)!getrandom(bytes.data(), bytes.size(), 0);
  std::string text;
  for (const unsigned char byte : bytes) text += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return text;
}

std::string value_at(const nlohmann::json& store, const Request& request) {
  const std::string missing = "404 Resource not found: " + request.path + ".";
  std::string path = request.path;
  while (!path.empty() && path.back() == '/') path.pop_back();
  nlohmann::json value;
  try {
    value = store.at(nlohmann::json::json_pointer(path));
  } catch (const nlohmann::json::exception&) {
    return missing;
  }
  if (header(request, "accept") == "application/json") return "200 " + value.dump();
  if (value.is_string()) return "200 " + value.get<std::string>();
  if (!value.is_object()) return "501 Cannot retrieve value. The value has an unsupported type.";
  std::string names;  // a line each
  for (const auto& [name, inner] : value.items()) names += (names.empty() ? "" : ",") + name + (inner.is_object() ? "/" : "");
  return "200 " + names;
}

}  // namespace

std::string Mmds::answer(const std::string& line, const nlohmann::json& store) {
  const Request request = read(line);
  const auto now = std::chrono::steady_clock::now();
  if (request.method == "PUT") {
    if (header(request, "x-forwarded-for")) return "400 Invalid header. Reason: Unsupported header name. Key: X-Forwarded-For";
    if (request.path != "/latest/api/token") return "404 Resource not found: " + request.path + ".";
    const auto said = header(request, "x-metadata-token-ttl-seconds");
    if (!said) return "400 Token time to live value not found. Use `X-metadata-token-ttl-seconds` header to specify the token's lifetime.";
    std::uint64_t seconds = 0;
    const auto [end, wrong] = std::from_chars(said->data(), said->data() + said->size(), seconds);
    if (wrong != std::errc{} || end != said->data() + said->size() || seconds < kLeastTtl || seconds > kMostTtl) {
      return "400 Invalid time to live value provided for token: " + *said + ". Please provide a value between 1 and 21600.";
    }
    std::string token = new_token();
    tokens_[token] = now + std::chrono::seconds(seconds);
    return "200 " + token;
  }
  if (request.method != "GET") return "405 Not allowed HTTP method.";
  const auto token = header(request, "x-metadata-token");
  if (!token) return "401 No MMDS token provided. Use `X-metadata-token` header to specify the session token.";
  const auto known = tokens_.find(*token);
  if (known == tokens_.end() || known->second <= now) return "401 MMDS token not valid.";
  return value_at(store, request);
}

}  // namespace mvm::doubles
