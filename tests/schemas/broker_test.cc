#include "schemas/broker.h"

#include <gtest/gtest.h>

#include "schemas/broker_generated.h"
#include "sealing/offer.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

using test::digest_of;

Submit submit() {
  Submit request;
  request.mode = Mode::kApply;
  request.signature.fill(9);
  return request;
}

std::vector<Event> one_of_each() {
  return {Accepted{digest_of(1), 7},
          Refused{{lang::Rule::kInvariant, 7, 3, "+ tap acme/workers/i-00000001 slot=5 pps=0 mbps=0", "the slot is taken", "another slot"}, true},
          Progress{3, "+ bridge acme net=3 subnet=10.240.3.0/24", Phase::kFailed, {Errc::kSystem, 16, "create the bridge", "br-tenant-3"}},
          Holds{"acme/workers/i-00000001", {"cgroup acme/workers/i-00000001 cpu=200 mem=1152 pids=64 io=0"}},
          Finished{digest_of(1), 3, 1, 1, 2, digest_of(2), 42},
          StateText{digest_of(2), 42, {}},
          StateText{digest_of(2), 42, std::vector<std::uint8_t>(sealing::kOfferBytes, 5)},
          Watching{},
          Ended{"acme/workers/i-00000001"},
          Busy{},
          Failed{{Errc::kDenied, 0, "read the plan", "not sealed"}}};
}

TEST(BrokerRequest, ComesBackAsItWas) {
  for (const Request& request : {Request(submit()), Request(AskState{}), Request(Watch{}), Request(AskReadings{})}) {
    const auto back = decode_request(encode(request));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(*back, request);
  }
}

TEST(BrokerRequest, OfAPlanComesWithThreeDescriptors) {
  EXPECT_EQ(descriptors_of(Request(submit())), 3u) << "plan, projection, keys";
  EXPECT_EQ(descriptors_of(Request(AskState{})), 0u);
}

// What an encoder would never make, built by hand.
std::vector<std::uint8_t> raw_submit(std::uint8_t mode, std::size_t signature_bytes, std::uint8_t tag) {
  flatbuffers::FlatBufferBuilder builder;
  const auto signature = builder.CreateVector(std::vector<std::uint8_t>(signature_bytes));
  const auto body = fbs::CreateSubmit(builder, mode, signature).Union();
  builder.Finish(fbs::CreateRequest(builder, static_cast<fbs::RequestBody>(tag), body), "MVMR");
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

TEST(BrokerRequest, RefusesAModeASignatureAndARequestThatThereIsNot) {
  EXPECT_TRUE(decode_request(raw_submit(1, kSignatureBytes, 1)));
  EXPECT_FALSE(decode_request(raw_submit(2, kSignatureBytes, 1)));
  EXPECT_FALSE(decode_request(raw_submit(1, kSignatureBytes - 1, 1)));
  EXPECT_FALSE(decode_request(raw_submit(1, kSignatureBytes + 1, 1)));
  EXPECT_FALSE(decode_request(raw_submit(1, kSignatureBytes, 5))) << "the generated verifier accepts a tag that it does not know";
  EXPECT_FALSE(decode_request(raw_submit(1, kSignatureBytes, 0)));
}

TEST(BrokerMessages, AreRefusedCutAnywhereOversizedOrUnderAnothersName) {
  const auto request = encode(Request(submit()));
  for (std::size_t size = 0; size < request.size(); ++size) {
    EXPECT_FALSE(decode_request(std::vector(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  EXPECT_FALSE(decode_event(request));
  std::vector<std::uint8_t> padded = request;
  padded.resize(kMaxRequest + 1);
  EXPECT_FALSE(decode_request(padded));
  for (const Event& event : one_of_each()) {
    const auto bytes = encode(event);
    EXPECT_LE(bytes.size(), kMaxEvent);
    EXPECT_FALSE(decode_request(bytes));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto back = decode_event(std::vector(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
      if (!back) continue;
      EXPECT_LT(bytes.size() - size, 8u) << "only the padding at the end may be missing";
      EXPECT_EQ(encode(*back), bytes);
    }
  }
}

TEST(BrokerEvent, ComesBackAsItWas) {
  for (const Event& event : one_of_each()) {
    const auto back = decode_event(encode(event));
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_EQ(back->index(), event.index());
    EXPECT_EQ(encode(*back), encode(event));
  }
  const auto refused = std::get<Refused>(*decode_event(encode(one_of_each()[1])));
  EXPECT_EQ(refused.refusal.remedy, "another slot");
  EXPECT_TRUE(refused.in_projection);
  const auto finished = std::get<Finished>(*decode_event(encode(one_of_each()[4])));
  EXPECT_EQ(finished, std::get<Finished>(one_of_each()[4]));
  EXPECT_FALSE(finished.complete());
}

TEST(BrokerEvent, CutsTextAtItsLimitSoThatWhatIsMadeAlwaysDecodes) {
  const std::string long_text(5000, 'x');
  Holds holds{long_text, std::vector<std::string>(40, long_text)};
  const std::vector<Event> events = {
      Refused{{lang::Rule::kForm, 1, 1, long_text, long_text + "\n", long_text}, false},
      Progress{0, "\x1b[2J" + long_text, Phase::kFailed, {Errc::kSystem, 1, long_text, long_text}}, holds, Ended{long_text},
      Failed{{Errc::kLimit, 0, long_text, long_text}}};
  for (const Event& event : events) {
    const auto bytes = encode(event);
    EXPECT_LE(bytes.size(), kMaxEvent);
    EXPECT_TRUE(decode_event(bytes)) << event.index();
  }
}

TEST(BrokerEvent, RefusesWhatIsOutOfRange) {
  EXPECT_FALSE(decode_event(encode(Event(Accepted{digest_of(1), lang::kMaxStatements + 1}))));
  EXPECT_FALSE(decode_event(encode(Event(Progress{lang::kMaxStatements, "", Phase::kDone, {}}))));
  EXPECT_FALSE(decode_event(encode(Event(Progress{0, "", static_cast<Phase>(kPhases), {}}))));
  EXPECT_FALSE(decode_event(encode(Event(Finished{digest_of(1), lang::kMaxStatements, 1, 0, 0, digest_of(1), 1}))));
  EXPECT_FALSE(decode_event(encode(Event(StateText{digest_of(1), lang::kMaxGeneration + 1, {}}))));
  EXPECT_FALSE(decode_event(encode(Event(StateText{digest_of(1), 1, std::vector<std::uint8_t>(sealing::kOfferBytes - 1)}))));
  EXPECT_FALSE(decode_event(encode(Event(StateText{digest_of(1), 1, std::vector<std::uint8_t>(sealing::kOfferBytes + 1)}))));
  EXPECT_FALSE(decode_event(encode(Event(Refused{{static_cast<lang::Rule>(7), 0, 0, "", "", ""}, false}))));
  EXPECT_FALSE(decode_event(encode(Event(Failed{{static_cast<Errc>(99), 0, "", ""}}))));
}

}  // namespace
}  // namespace mvm::wire
