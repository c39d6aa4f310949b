#include "broker/jail/http_response.h"

#include <gtest/gtest.h>

namespace mvm::jail {
namespace {

using Progress = ResponseParser::Progress;

// As Firecracker v1.16.1 sends them, byte for byte.
const std::string kNoContent = "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";
const std::string kVersion =
    "HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n"
    R"({"firecracker_version":"1.16.1"})";

Result<Response> parse(std::string_view bytes) {
  ResponseParser parser;
  const auto progress = parser.feed(bytes);
  if (!progress) return forward(progress.error());
  if (*progress == Progress::kMore) return fail(Errc::kClosed, "more");
  return parser.take();
}
Errc fault(std::string_view bytes) {
  const auto parsed = parse(bytes);
  return parsed ? Errc::kExists : parsed.error().code;
}
std::string with_length(const std::string& length, const std::string& body) {
  return "HTTP/1.1 200 \r\nContent-Length: " + length + "\r\n\r\n" + body;
}

TEST(HttpResponse, TakesWhatFirecrackerSends) {
  EXPECT_EQ(parse(kNoContent), (Response{204, ""}));
  EXPECT_EQ(parse(kVersion), (Response{200, R"({"firecracker_version":"1.16.1"})"}));
}

TEST(HttpResponse, TakesTheSameHoweverItIsCut) {
  for (std::size_t cut = 1; cut < kVersion.size(); ++cut) {
    ResponseParser parser;
    EXPECT_EQ(parser.feed(kVersion.substr(0, cut)), Progress::kMore) << cut;
    EXPECT_EQ(parser.feed(kVersion.substr(cut)), Progress::kDone) << cut;
    EXPECT_EQ(parser.take(), *parse(kVersion));
  }
  ResponseParser parser;
  for (std::size_t i = 0; i + 1 < kVersion.size(); ++i) ASSERT_EQ(parser.feed(kVersion.substr(i, 1)), Progress::kMore);
  EXPECT_EQ(parser.feed(kVersion.substr(kVersion.size() - 1)), Progress::kDone);
}

TEST(HttpResponse, RefusesBytesAfterTheResponse) {
  EXPECT_EQ(fault(kNoContent + "H"), Errc::kMalformed);
  EXPECT_EQ(fault(kVersion + "x"), Errc::kMalformed);
  ResponseParser parser;
  ASSERT_EQ(parser.feed(kNoContent), Progress::kDone);
  EXPECT_FALSE(parser.feed("x"));
}

TEST(HttpResponse, SaysNothingMoreAfterAnError) {
  ResponseParser parser;
  ASSERT_FALSE(parser.feed("nonsense\r\n\r\n"));
  EXPECT_FALSE(parser.feed(kNoContent));
}

TEST(HttpResponse, BoundsTheHead) {
  const std::string start = "HTTP/1.1 204 \r\nX: ";
  const std::string fits = start + std::string(kMaxHead - start.size() - 4, 'a') + "\r\n\r\n";
  ASSERT_EQ(fits.size(), kMaxHead);
  EXPECT_TRUE(parse(fits));
  EXPECT_EQ(fault(start + std::string(kMaxHead - start.size() - 3, 'a') + "\r\n\r\n"), Errc::kLimit);
  EXPECT_EQ(fault(start + std::string(kMaxHead, 'a')), Errc::kLimit);
}

TEST(HttpResponse, BoundsTheNumberOfHeaders) {
  std::string head = "HTTP/1.1 204 \r\n";
  for (int i = 0; i < 64; ++i) head += "A: b\r\n";
  EXPECT_TRUE(parse(head + "\r\n"));
  EXPECT_EQ(fault(head + "A: b\r\n\r\n"), Errc::kLimit);
}

TEST(HttpResponse, BoundsTheBody) {
  EXPECT_TRUE(parse(with_length(std::to_string(kMaxBody), std::string(kMaxBody, 'x'))));
  EXPECT_EQ(fault(with_length(std::to_string(kMaxBody + 1), "")), Errc::kLimit);
  EXPECT_EQ(fault(with_length("99999999999999999999", "")), Errc::kMalformed);
}

TEST(HttpResponse, RefusesEveryOtherSpellingOfALength) {
  for (const char* length : {"", "-1", "+2", "0x2", "2 2", "2,2", "2;", "two"}) EXPECT_EQ(fault(with_length(length, "{}")), Errc::kMalformed) << length;
  EXPECT_EQ(fault("HTTP/1.1 200 \r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n{}"), Errc::kMalformed);
  EXPECT_EQ(fault("HTTP/1.1 200 \r\n\r\n"), Errc::kMalformed);
  EXPECT_EQ(fault("HTTP/1.1 204 \r\nContent-Length: 2\r\n\r\n{}"), Errc::kMalformed);
  EXPECT_EQ(fault("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}"), Errc::kMalformed);
}

TEST(HttpResponse, RefusesEveryOtherStatusLine) {
  for (const char* line : {"HTTP/1.0 204 ", "http/1.1 204 ", "HTTP/1.1 20 ", "HTTP/1.1 2044 ", "HTTP/1.1 100 ", "HTTP/1.1 600 ",
                           "HTTP/1.1  204 ", "HTTP/1.1 204", "", " HTTP/1.1 204 "}) {
    EXPECT_EQ(fault(std::string(line) + "\r\n\r\n"), Errc::kMalformed) << line;
  }
}

TEST(HttpResponse, RefusesEveryOtherHeader) {
  for (const char* header : {"no colon", ": no name", "a b: c", " folded: x", "a:\tb", "a: \x01", "a: \xff", "a: b\rc"}) {
    EXPECT_EQ(fault("HTTP/1.1 204 \r\n" + std::string(header) + "\r\n\r\n"), Errc::kMalformed) << header;
  }
}

TEST(HttpResponse, DoesNotWaitForAHeadThatCanNeverEndWell) {
  EXPECT_EQ(fault("HTTP/1.1 204 \nServer: x\n\n"), Errc::kMalformed);
  ResponseParser parser;
  EXPECT_EQ(parser.feed("HTTP/1.1 204 \r"), Progress::kMore);
  EXPECT_EQ(parser.feed("\nA: b"), Progress::kMore);
  EXPECT_FALSE(parser.feed("\n"));
}

TEST(StringField, TakesTheFirstPlainString) {
  EXPECT_EQ(string_field(R"({"id":"x","state":"Not started","vmm_version":"1.16.1"})", "state"), "Not started");
  EXPECT_EQ(string_field(R"({"firecracker_version":"1.16.1"})", "firecracker_version"), "1.16.1");
}

TEST(StringField, RefusesEverythingElse) {
  for (const char* body : {"", "{}", R"({"state":1})", R"({"state":""})", R"({"state":"x)", R"({"state": "x"})", R"({"state":"a\"b"})", "{\"state\":\"a\nb\"}"}) {
    EXPECT_FALSE(string_field(body, "state")) << body;
  }
  EXPECT_TRUE(string_field("{\"state\":\"" + std::string(64, 'a') + "\"}", "state"));
  EXPECT_FALSE(string_field("{\"state\":\"" + std::string(65, 'a') + "\"}", "state"));
}

TEST(NumberField, IsTheFirstOfThatName) {
  EXPECT_EQ(number_field(R"({"target_mib":32,"actual_mib":7})", "actual_mib"), 7u);
  EXPECT_EQ(number_field(R"({"actual_mib":0,"actual_mib":7})", "actual_mib"), 0u);
  EXPECT_EQ(number_field(R"({"n":18446744073709551615})", "n"), UINT64_MAX);
}

TEST(NumberField, RefusesEverythingElse) {
  for (const char* body : {R"({"n":-1})", R"({"n":"1"})", R"({"n": 1})", R"({"n":1.5})", R"({"n":1e3})", R"({"n":1)", R"({"n":})", R"({"n":)", R"({"n":null})", R"({"n":18446744073709551616})"}) {
    EXPECT_EQ(number_field(body, "n").error().code, Errc::kMalformed) << body;
  }
  EXPECT_EQ(number_field(R"({"nn":1})", "n").error().code, Errc::kNotFound);
  EXPECT_EQ(number_field("", "n").error().code, Errc::kNotFound);
}

TEST(Quote, IsShortAndPrintable) {
  EXPECT_EQ(quote("a\x1b[31mb\n\xff"), "a?[31mb??");
  EXPECT_EQ(quote(std::string(1000, 'a')).size(), kMaxQuote);
}

}  // namespace
}  // namespace mvm::jail
