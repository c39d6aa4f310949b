#include "broker/jail/http_response.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace mvm::jail {
namespace {

constexpr std::string_view kEndOfLine = "\r\n";
constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::size_t kMaxHeaders = 64;
constexpr std::size_t kMaxFieldValue = 64;

struct Head {
  int status = 0;
  std::optional<std::size_t> content_length;
};

bool digit(char c) { return c >= '0' && c <= '9'; }
bool printable(char c) { return c >= 0x20 && c < 0x7f; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool name_char(char c) { return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-'; }

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, what); }

Result<int> parse_status_line(std::string_view line) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!line.starts_with(kVersion)) return malformed("read the version of the response");
  line.remove_prefix(kVersion.size());
  if (line.size() < 4 || !digit(line[0]) || !digit(line[1]) || !digit(line[2]) || line[3] != ' ') {
    return malformed("read the status of the response");
  }
  const int status = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (status < 200 || status > 599) return malformed("take the status of the response");
  return status;
}

Result<std::size_t> parse_length(std::string_view text) {
  if (text.empty() || text.size() > 6 || !std::ranges::all_of(text, digit)) return malformed("read Content-Length");
  std::size_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  if (length > kMaxBody) return fail(Errc::kLimit, "take a body that long");
  return length;
}

Status parse_header(std::string_view line, Head& head) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return malformed("read a header");
  const std::string_view name = line.substr(0, colon);
  if (!std::ranges::all_of(name, name_char)) return malformed("read the name of a header");
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  while (value.ends_with(' ')) value.remove_suffix(1);
  if (same_name(name, "Transfer-Encoding")) return malformed("take a transfer encoding");
  if (!same_name(name, "Content-Length")) return {};
  if (head.content_length) return malformed("take a second Content-Length");
  const auto length = parse_length(value);
  if (!length) return forward(length.error());
  head.content_length = *length;
  return {};
}

bool has_bare_line_feed(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('\n', from); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (at == 0 || text[at - 1] != '\r') return true;
  }
  return false;
}

// `text`: the head, without the empty line that ends it.
Result<Head> parse_head(std::string_view text) {
  Head head;
  std::size_t lines = 0;
  while (!text.empty() || lines == 0) {
    const std::size_t end = std::min(text.find(kEndOfLine), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + kEndOfLine.size(), text.size()));
    if (!std::ranges::all_of(line, printable)) return malformed("read a line of the head");
    if (lines++ == 0) {
      const auto status = parse_status_line(line);
      if (!status) return forward(status.error());
      head.status = *status;
      continue;
    }
    if (lines > kMaxHeaders + 1) return fail(Errc::kLimit, "take that many headers");
    if (auto read = parse_header(line, head); !read) return forward(read.error());
  }
  if (head.status == 204 && head.content_length.value_or(0) != 0) return malformed("take a body with status 204");
  if (head.status != 204 && !head.content_length) return malformed("find Content-Length");
  return head;
}

}  // namespace

Result<ResponseParser::Progress> ResponseParser::feed(std::string_view bytes) {
  auto progress = advance(bytes);
  if (!progress) at_ = At::kFailed;
  return progress;
}

Result<ResponseParser::Progress> ResponseParser::advance(std::string_view bytes) {
  if (at_ == At::kFailed) return malformed("go on after an error");
  if (at_ == At::kDone && !bytes.empty()) return malformed("take bytes after the response");
  if (at_ == At::kHead) {
    const std::size_t seen = received_.size();
    received_ += bytes.substr(0, kMaxHead - seen);
    bytes.remove_prefix(received_.size() - seen);
    const std::size_t end = received_.find(kEndOfHead, seen < 3 ? 0 : seen - 3);
    if (end == std::string::npos) {
      // A head that can never end well is not waited for.
      if (has_bare_line_feed(received_, seen)) return malformed("take a bare line feed");
      if (received_.size() == kMaxHead) return fail(Errc::kLimit, "take a head that long");
      return Progress::kMore;
    }
    const auto head = parse_head(std::string_view(received_).substr(0, end));
    if (!head) return forward(head.error());
    status_ = head->status;
    content_length_ = head->content_length.value_or(0);
    received_.erase(0, end + kEndOfHead.size());
    at_ = At::kBody;
  }
  if (at_ == At::kBody) {
    if (received_.size() + bytes.size() > content_length_) return malformed("take bytes after the response");
    received_ += bytes;
    if (received_.size() < content_length_) return Progress::kMore;
    at_ = At::kDone;
  }
  return Progress::kDone;
}

Response ResponseParser::take() { return {status_, std::move(received_)}; }

Result<std::string> string_field(std::string_view body, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const std::size_t at = body.find(key);
  if (at == std::string_view::npos) return fail(Errc::kMalformed, "find a field in the answer", std::string(name));
  const std::string_view rest = body.substr(at + key.size());
  const std::size_t end = rest.substr(0, kMaxFieldValue + 1).find('"');
  const std::string_view value = rest.substr(0, end == std::string_view::npos ? 0 : end);
  const bool plain = std::ranges::all_of(value, [](char c) { return printable(c) && c != '\\'; });
  if (value.empty() || !plain) return fail(Errc::kMalformed, "read a field of the answer", std::string(name));
  return std::string(value);
}

Result<std::uint64_t> number_field(std::string_view body, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t at = body.find(key);
  if (at == std::string_view::npos) return fail(Errc::kNotFound, "find a field in the answer", std::string(name));
  const std::string_view rest = body.substr(at + key.size());
  std::uint64_t value = 0;
  const auto [next, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  const bool ended = error == std::errc() && next != rest.data() + rest.size() && (*next == ',' || *next == '}');
  if (!ended) return fail(Errc::kMalformed, "read a field of the answer", std::string(name));
  return value;
}

std::string quote(std::string_view bytes) {
  std::string text(bytes.substr(0, kMaxQuote));
  std::ranges::replace_if(text, [](char c) { return !printable(c); }, '?');
  return text;
}

}  // namespace mvm::jail
