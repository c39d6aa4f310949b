// What changes this machine (its clock) is tested in the node VM: guest_node_test.cc.
#include "guest/wake.h"

#include "tests/guest/guest_places.h"

namespace mvm::guest {
namespace {

class GuestWakes : public test::GuestPlaces {
 protected:
  const Resume kResume{1'700'000'000'000'000'000, {0xab, 1}, {1}};
};

TEST_F(GuestWakes, DoesNothingElseWhereTheKernelTakesNoEntropy) {
  places_.random = "/dev/null";
  EXPECT_EQ(wake(places_, kResume), Outcome::kNotReseeded);
  places_.random = top_ / "nothing";
  EXPECT_EQ(wake(places_, kResume), Outcome::kNotReseeded);
  EXPECT_FALSE(std::filesystem::exists(top_ / "run/generation"));
  EXPECT_GT(time(nullptr), 1'750'000'000) << "the clock is as it was";
}

}  // namespace
}  // namespace mvm::guest
