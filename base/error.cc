#include "base/error.h"

#include <cstring>

namespace mvm {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::kSystem: return "system";
    case Errc::kMalformed: return "malformed";
    case Errc::kDenied: return "denied";
    case Errc::kLimit: return "limit";
    case Errc::kNotFound: return "not-found";
    case Errc::kExists: return "exists";
    case Errc::kBusy: return "busy";
    case Errc::kTimeout: return "timeout";
    case Errc::kUnsupported: return "unsupported";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kClosed: return "closed";
  }
  return "unknown";
}

std::string Error::message() const {
  std::string text = tried;
  if (!on.empty()) text += " (" + on + ")";
  text += ": ";
  if (sys_errno != 0) {
    char buffer[128];
    text += strerror_r(sys_errno, buffer, sizeof buffer);
  } else {
    text += to_string(code);
  }
  return text;
}

}  // namespace mvm
