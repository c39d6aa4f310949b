#include "base/instance_bytes.h"

#include <gtest/gtest.h>

namespace mvm {
namespace {

Subject instance_of(const std::string& tenant, const std::string& pool) { return instance_subject(*Name::from(tenant), *Name::from(pool), InstanceId{0xa3f7b2c1}); }

TEST(InstanceBytes, AreTheInstanceAgain) {
  for (const Subject& instance : {instance_of("a", "b"), instance_of("acme", "workers"), instance_of(std::string(kMaxName, 'a'), std::string(kMaxName, 'b'))}) {
    EXPECT_EQ(from_bytes(to_bytes(instance)), instance);
  }
}

TEST(InstanceBytes, AreOfNoOtherForm) {
  const InstanceBytes good = to_bytes(instance_of("acme", "workers"));
  const auto expect_none = [&](auto&& change, const char* what) {
    InstanceBytes bytes = good;
    change(bytes);
    EXPECT_FALSE(from_bytes(bytes)) << what;
  };
  expect_none([](InstanceBytes& bytes) { bytes.tenant = {}; }, "no name");
  expect_none([](InstanceBytes& bytes) { bytes.tenant[0] = 'A'; }, "what is no name");
  expect_none([](InstanceBytes& bytes) { bytes.pool[0] = '/'; }, "a path");
  expect_none([](InstanceBytes& bytes) { bytes.tenant.back() = 'x'; }, "a name, and what follows it");
  expect_none([](InstanceBytes& bytes) { bytes.zero = 1; }, "what must be zero");
}

}  // namespace
}  // namespace mvm
