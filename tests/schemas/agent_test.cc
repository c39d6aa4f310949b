#include "schemas/agent.h"

#include <gtest/gtest.h>

#include "schemas/agent_generated.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

const Subject kPool = pool_subject(*Name::from("acme"), *Name::from("workers"));

std::vector<AgentRequest> one_of_each() { return {WakePool{kPool, 1}, WakePool{kPool, kMaxWakes}, HoldInstance{test::instance(), 0}, HoldInstance{test::instance(), kMaxHold}, RestInstance{test::instance()}}; }

TEST(AgentRequest, ComesBackAsItWas) {
  for (const AgentRequest& request : one_of_each()) {
    const auto bytes = encode(request);
    EXPECT_LE(bytes.size(), kMaxAgentMessage);
    const auto back = decode_agent_request(bytes);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(*back, request);
  }
}

TEST(AgentRequest, IsHeldToItsBoundsAndToWhatItIsAbout) {
  EXPECT_FALSE(decode_agent_request(encode(AgentRequest(WakePool{kPool, 0}))));
  EXPECT_FALSE(decode_agent_request(encode(AgentRequest(WakePool{kPool, kMaxWakes + 1}))));
  EXPECT_FALSE(decode_agent_request(encode(AgentRequest(HoldInstance{test::instance(), kMaxHold + 1}))));
  for (const Subject& other : {Subject{}, test::acme(), test::instance()}) EXPECT_FALSE(decode_agent_request(encode(AgentRequest(WakePool{other, 1}))));
  for (const Subject& other : {Subject{}, test::acme(), kPool}) {
    EXPECT_FALSE(decode_agent_request(encode(AgentRequest(HoldInstance{other, 1}))));
    EXPECT_FALSE(decode_agent_request(encode(AgentRequest(RestInstance{other}))));
  }
}

TEST(AgentRequest, IsRefusedCutAnywhereOversizedOrUnknown) {
  const auto bytes = encode(AgentRequest(WakePool{kPool, 2}));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_agent_request(std::vector(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  EXPECT_FALSE(decode_agent_request(std::vector<std::uint8_t>(kMaxAgentMessage + 1)));
  EXPECT_FALSE(decode_agent_request(encode(AgentAnswer{}))) << "an answer";
  for (const int tag : {0, 4}) {
    flatbuffers::FlatBufferBuilder builder;
    const auto body = fbs::CreateRestInstance(builder).Union();
    builder.Finish(fbs::CreateAgentRequest(builder, static_cast<fbs::AgentBody>(tag), body), "MVAR");
    EXPECT_FALSE(decode_agent_request(std::vector(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize())));
  }
  for (const fbs::AgentBody tag : {fbs::AgentBody::WakePool, fbs::AgentBody::HoldInstance, fbs::AgentBody::RestInstance}) {
    flatbuffers::FlatBufferBuilder builder;
    const auto body = tag == fbs::AgentBody::WakePool ? fbs::CreateWakePool(builder, nullptr, 1).Union() : tag == fbs::AgentBody::HoldInstance ? fbs::CreateHoldInstance(builder).Union() : fbs::CreateRestInstance(builder).Union();
    builder.Finish(fbs::CreateAgentRequest(builder, tag, body), "MVAR");
    EXPECT_FALSE(decode_agent_request(std::vector(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()))) << "about nothing";
  }
}

TEST(AgentAnswer, ComesBackAsItWasWithItsReasonPrintableAndBounded) {
  for (const AgentAnswer& answer : {AgentAnswer{true, 3, 1, ""}, AgentAnswer{false, 0, 0, "the pool is pinned"}}) EXPECT_EQ(decode_agent_answer(encode(answer)), answer);
  EXPECT_EQ(decode_agent_answer(encode(AgentAnswer{false, 0, 0, "a\nb\x80"}))->why, "a?b?");
  EXPECT_EQ(decode_agent_answer(encode(AgentAnswer{false, 0, 0, std::string(2000, 'x')}))->why.size(), kMaxWhy);
  const auto raw = [](std::uint8_t done, const std::string& why) {
    flatbuffers::FlatBufferBuilder builder;
    const auto why_at = builder.CreateString(why);
    builder.Finish(fbs::CreateAgentAnswer(builder, done, 0, 0, why_at), "MVAA");
    return decode_agent_answer(std::vector(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize())).has_value();
  };
  EXPECT_TRUE(raw(1, std::string(kMaxWhy, 'x')));
  EXPECT_FALSE(raw(2, ""));
  EXPECT_FALSE(raw(0, "\n"));
  EXPECT_FALSE(raw(0, std::string(kMaxWhy + 1, 'x')));
}

}  // namespace
}  // namespace mvm::wire
