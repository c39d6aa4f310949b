// Where private keys lie. OpenSSL's secure heap, in processes that have asked for none before: each test is a child, and their parent never has one.
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "broker/supervisor/identity.h"
#include "sealing/seal.h"
#include "tests/base/dumped_memory.h"
#include "tests/sandbox/child.h"

namespace mvm::sealing {
namespace {

bool is_there() { return CRYPTO_secure_malloc_initialized() == 1; }

TEST(SecureHeap, IsThereOnceASessionIsMade) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    MUST(!is_there());
    MUST(Session::make(SecretArena::make().value()).has_value());
    MUST(is_there());
  })));
}

TEST(SecureHeap, IsThereOnceASessionIsTaken) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    std::array<int, 2> ends{};
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const PublicKey any{7};
    MUST(send(ends[0], any.data(), any.size(), 0) == static_cast<ssize_t>(any.size()));
    MUST(!is_there());
    MUST(Session::take(SecretArena::make().value(), ends[1]).has_value());
    MUST(is_there());
  })));
}

TEST(SecureHeap, IsThereOnceAnIdentityIsRead) {
  if (geteuid() != 0) GTEST_SKIP() << "an identity is root's";
  const std::string directory = testing::TempDir() + "identity-" + std::to_string(getpid()), path = directory + "/" + supervisor::kIdentityName;
  std::filesystem::create_directories(directory);
  std::ofstream(path) << std::string(32, 'i');
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  EXPECT_TRUE(test::worked(test::in_child([&] {
    MUST(!is_there());
    const auto identity = supervisor::Identity::read(directory);
    MUST(identity && *identity);
    MUST(is_there());
  })));
  std::filesystem::remove_all(directory);
}

// A private key as one process gives it to the other, each byte inverted.
std::array<std::uint8_t, 32> given(const Session& session) {
  std::array<int, 2> ends{};
  std::array<std::uint8_t, 32> raw{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0 || !session.give(ends[0]) || recv(ends[1], raw.data(), raw.size(), 0) != 32) std::abort();
  for (std::uint8_t& byte : raw) byte = static_cast<std::uint8_t>(~byte);
  return raw;
}

// Nothing that was on the way is left either: neither where it was made, nor where OpenSSL put it to open with it.
TEST(KeyOfASession, LiesWhereNothingIsDumped) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    const SecretArena arena = SecretArena::make().value();
    const Session session = Session::make(arena).value();
    const auto masked = given(session);
    MUST(!test::is_dumped("self", masked));
    std::array<std::uint8_t, 32> control = masked;
    for (std::uint8_t& byte : control) byte = static_cast<std::uint8_t>(~byte);
    MUST(test::is_dumped("self", masked) && control[0] == static_cast<std::uint8_t>(~masked[0]));
    explicit_bzero(control.data(), control.size());
    MUST(!test::is_dumped("self", masked));
    Label label{*Name::from("node-7"), Purpose::kTenantKey, *Name::from("acme"), 1, {}, 42};
    const auto sign = [](std::string_view) -> Result<Signature> { return Signature{}; };
    const std::vector<std::uint8_t> key(kTenantKeyBytes, 7);
    const auto envelope = seal(arena, label, session.public_key(), PublicKey{}, sign, key).value();
    MUST(session.open(label, envelope).has_value());
    MUST(!test::is_dumped("self", masked));
    label.version = 2;
    MUST(!session.open(label, envelope));
    MUST(!test::is_dumped("self", masked));
  })));
}

TEST(KeyOfASession, LiesWhereNothingIsDumpedWhereItWasTaken) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    std::array<int, 2> ends{};
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    MUST(Session::make(SecretArena::make().value())->give(ends[0]).has_value());
    const Session session = Session::take(SecretArena::make().value(), ends[1]).value();
    const auto masked = given(session);
    MUST(!test::is_dumped("self", masked));
  })));
}

TEST(SecureHeap, IsHadOnceAndForAll) {
  EXPECT_TRUE(test::worked(test::in_child([] { MUST(use_secure_heap() && use_secure_heap()); })));
}

// OpenSSL has one that is not locked, then, and says so by its answer alone.
TEST(SecureHeap, IsNoneWhereItCannotBeLocked) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    const rlimit none{0, 0};
    // Root may lock all the same, so it becomes nobody.
    MUST(setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || setuid(65534) == 0));
    MUST(!use_secure_heap());
  })));
}

}  // namespace
}  // namespace mvm::sealing
