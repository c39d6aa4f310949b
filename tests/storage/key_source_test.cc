// Which envelope a task's key may come from.
#include "broker/storage/key_source.h"

#include <gtest/gtest.h>

#include "tests/sealing/samples.h"

namespace mvm::storage {
namespace {

class SealedKey : public testing::Test {
 protected:
  static wire::Task opening(const char* tenant, std::uint64_t version) {
    wire::Task task;
    task.seq = 1;
    task.op = wire::Op::kMake;
    task.statement.sign = lang::Sign::kAdd;
    task.statement.word = lang::Word::kLuksOpen;
    task.statement.subject = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{1});
    task.statement.key_tenant = *Name::from(tenant);
    task.statement.numbers = {version};
    task.place.node = *Name::from("node-7");
    task.place.generation = 42;
    return task;
  }
  [[nodiscard]] std::vector<std::uint8_t> sealed(const sealing::Label& label) const {
    return test::sealed(session_.arena(), label, session_.public_key(), test::kTenantKey);
  }
  const sealing::Session session_ = sealing::Session::make(SecretArena::make().value()).value();
  SealedKeys keys_{session_};
};

TEST_F(SealedKey, IsTheOneThatTheStatementNames) {
  wire::Task task = opening("acme", 1);
  task.sealed = {sealed(test::key_label(1))};
  const auto key = keys_.keys_of(task);
  ASSERT_TRUE(key) << key.error().message();
  EXPECT_TRUE(std::ranges::equal(key->at(0).bytes(), test::kTenantKey));
}

TEST_F(SealedKey, DoesNotComeFromAnEnvelopeOfSomethingElse) {
  auto another = test::key_label(1);
  wire::Task task = opening("acme", 1);
  const auto refused = [&](const sealing::Label& label) {
    task.sealed = {sealed(label)};
    return keys_.keys_of(task).error().code;
  };
  another.generation = 41;
  EXPECT_EQ(refused(another), Errc::kDenied) << "of an older plan";
  another = test::key_label(2);
  EXPECT_EQ(refused(another), Errc::kDenied) << "another version";
  another = test::key_label(1);
  another.tenant = *Name::from("beta");
  EXPECT_EQ(refused(another), Errc::kDenied) << "another tenant's";
  another = test::key_label(1);
  another.node = *Name::from("node-8");
  EXPECT_EQ(refused(another), Errc::kDenied) << "another node's";
}

TEST_F(SealedKey, OfAnotherTenantIsNeverUsed) {
  wire::Task task = opening("beta", 1);
  auto beta = test::key_label(1);
  beta.tenant = *Name::from("beta");
  task.sealed = {sealed(beta)};
  EXPECT_EQ(keys_.keys_of(task).error().code, Errc::kDenied);
}

TEST_F(SealedKey, HasToComeWithItsStatement) {
  wire::Task task = opening("acme", 1);
  EXPECT_EQ(keys_.keys_of(task).error().code, Errc::kDenied);
  task.sealed = {sealed(test::key_label(1)), sealed(test::key_label(1))};
  EXPECT_EQ(keys_.keys_of(task).error().code, Errc::kDenied);
  const auto other = sealing::Session::make(SecretArena::make().value()).value();
  task.sealed = {test::sealed(session_.arena(), test::key_label(1), other.public_key(), test::kTenantKey)};
  EXPECT_EQ(keys_.keys_of(task).error().code, Errc::kDenied) << "sealed to another start";
}

// None is not a number of keys that anything here works with.
TEST_F(SealedKey, IsNoneOfAStatementThatNamesNone) {
  wire::Task task = opening("acme", 1);
  task.statement.sign = lang::Sign::kRemove;
  const auto keys = keys_.keys_of(task);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().code, Errc::kDenied);
}

class SealedContent : public SealedKey {
 protected:
  static wire::Task drive(lang::Word word) {
    wire::Task task = opening("acme", 1);
    task.statement.word = word;
    task.statement.numbers = {1};
    task.statement.digests[0] = sha256("content");
    return task;
  }
  [[nodiscard]] std::vector<std::uint8_t> content(sealing::Purpose purpose, std::string_view text = "content") const {
    return test::sealed(session_.arena(), test::content_label(purpose, text), session_.public_key(), test::bytes_of(text));
  }
};

TEST_F(SealedContent, IsWhatTheStatementNames) {
  for (const auto& [word, purpose] : {std::pair{lang::Word::kSecrets, sealing::Purpose::kSecrets}, {lang::Word::kConfig, sealing::Purpose::kConfig}}) {
    wire::Task task = drive(word);
    task.sealed = {content(purpose)};
    const auto opened = keys_.content_of(task);
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_TRUE(std::ranges::equal(opened->bytes(), test::bytes_of("content")));
  }
}

TEST_F(SealedContent, DoesNotComeFromAnEnvelopeOfSomethingElse) {
  wire::Task task = drive(lang::Word::kSecrets);
  const auto refused = [&](std::vector<std::vector<std::uint8_t>> envelopes) {
    task.sealed = std::move(envelopes);
    return keys_.content_of(task).error().code;
  };
  EXPECT_EQ(refused({}), Errc::kDenied) << "none came";
  EXPECT_EQ(refused({content(sealing::Purpose::kConfig)}), Errc::kDenied) << "for the other drive";
  EXPECT_EQ(refused({content(sealing::Purpose::kSecrets, "other")}), Errc::kDenied) << "with another digest";
  EXPECT_EQ(refused({sealed(test::key_label(1))}), Errc::kDenied) << "a key";
  auto beta = test::content_label(sealing::Purpose::kSecrets, "content");
  beta.tenant = *Name::from("beta");
  EXPECT_EQ(refused({test::sealed(session_.arena(), beta, session_.public_key(), test::bytes_of("content"))}), Errc::kDenied) << "another tenant's";
}

TEST_F(SealedContent, IsNoKey) {
  wire::Task task = drive(lang::Word::kSecrets);
  task.sealed = {content(sealing::Purpose::kSecrets)};
  const auto keys = keys_.keys_of(task);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().code, Errc::kDenied);
}

TEST_F(SealedContent, OfAStatementThatNamesNoneIsNone) {
  wire::Task task = drive(lang::Word::kSecrets);
  task.sealed = {content(sealing::Purpose::kSecrets)};
  task.statement.sign = lang::Sign::kRemove;
  const auto opened = keys_.content_of(task);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kDenied);
}

TEST_F(SealedContent, OfAStatementThatNamesAKeyIsNone) {
  wire::Task task = opening("acme", 1);
  task.sealed = {sealed(test::key_label(1))};
  EXPECT_EQ(keys_.content_of(task).error().code, Errc::kDenied) << "a key is no drive's content";
}

}  // namespace
}  // namespace mvm::storage
