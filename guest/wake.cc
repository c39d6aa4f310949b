#include "guest/wake.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include "base/fd.h"

namespace mvm::guest {
namespace {

// rand_pool_info, whose array C++ lets nobody put anything in.
struct Given {
  int entropy_count;  // bits
  int buf_size;       // bytes
  Entropy buf;
};
static_assert(offsetof(Given, entropy_count) == offsetof(rand_pool_info, entropy_count) && offsetof(Given, buf_size) == offsetof(rand_pool_info, buf_size) &&
              offsetof(Given, buf) == offsetof(rand_pool_info, buf));

Status reseed(const std::string& device, const Entropy& entropy) {
  const Fd random(open(device.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!random.valid()) return fail_errno(errno, "open", device);
  Given given{8 * static_cast<int>(entropy.size()), static_cast<int>(entropy.size()), entropy};
  const int added = ioctl(random.get(), RNDADDENTROPY, &given);
  const int saved = errno;
  explicit_bzero(&given, sizeof given);
  if (added != 0) return fail_errno(saved, "add entropy", device);
  if (ioctl(random.get(), RNDRESEEDCRNG) != 0) return fail_errno(errno, "reseed", device);
  return {};
}

Status set_clock(std::uint64_t realtime) {
  const timespec now{static_cast<time_t>(realtime / 1'000'000'000), static_cast<long>(realtime % 1'000'000'000)};
  if (clock_settime(CLOCK_REALTIME, &now) != 0) return fail_errno(errno, "set the clock");
  return {};
}

Status write_generation(const std::string& run, const GenerationId& generation) {
  char text[2 * sizeof(GenerationId) + 2];
  for (std::size_t i = 0; i < generation.size(); ++i) std::snprintf(text + 2 * i, 3, "%02x", generation[i]);
  text[sizeof text - 2] = '\n';
  const std::string unfinished = run + "/.generation", finished = run + "/generation";
  const Fd file(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid()) return fail_errno(errno, "open", unfinished);
  if (write(file.get(), text, sizeof text - 1) != static_cast<ssize_t>(sizeof text - 1)) return fail_errno(errno, "write", unfinished);
  if (rename(unfinished.c_str(), finished.c_str()) != 0) return fail_errno(errno, "rename", finished);
  return {};
}

}  // namespace

Outcome wake(const Places& places, const Resume& resume) {
  if (auto reseeded = reseed(places.random, resume.entropy); !reseeded) return Outcome::kNotReseeded;
  if (auto set = set_clock(resume.realtime); !set) return Outcome::kClockStands;
  if (auto written = write_generation(places.run, resume.generation); !written) return Outcome::kFailed;
  return Outcome::kDone;
}

}  // namespace mvm::guest
