#include "broker/gate/run.h"

#include <sysexits.h>
#include <unistd.h>

#include <string>

#include "broker/gate/prepare.h"
#include "broker/gate/serve.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/spawn.h"

namespace mvm::gate {

void run(const sandbox::Grants& grants) {
  prepare();
  sandbox::enter_or_exit(grants);
  const auto served = serve(sandbox::kChannelFd);
  if (served) _exit(EX_OK);
  const std::string line = "mvm-gate: " + served.error().message() + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
  _exit(EX_PROTOCOL);
}

}  // namespace mvm::gate
