#include "broker/net/worker.h"

#include <cstdio>
#include <vector>

#include "broker/net/dispatch.h"
#include "broker/sandbox/enter.h"
#include "broker/worker/channel.h"
#include "schemas/worker.h"

namespace mvm::net {
namespace {

constexpr int kFailed = 70;  // EX_SOFTWARE

constexpr std::size_t kMostAtOnce = 256;  // tasks that are taken off the channel before the first of them runs

// One task, which is waited for, and those that are there already. That the supervisor has gone is seen by the next to wait.
Result<std::vector<wire::Task>> receive_tasks() {
  std::vector<wire::Task> tasks;
  while (tasks.size() < kMostAtOnce) {
    Result<wire::Task> task = worker::receive_task(tasks.empty() ? worker::Wait::kUntilThereIsOne : worker::Wait::kNo);
    if (!task && !tasks.empty() && (task.error().code == Errc::kTimeout || task.error().code == Errc::kClosed)) break;
    if (!task) return forward(std::move(task.error()));
    tasks.push_back(std::move(*task));
  }
  return tasks;
}

// Until the supervisor goes away or says what is no task: nothing of that is repaired.
Status serve(Kernel& kernel) {
  while (true) {
    const auto tasks = receive_tasks();
    if (!tasks) return tasks.error().code == Errc::kClosed ? Status{} : forward(tasks.error());
    if (Status sent = worker::send_answers(dispatch_all(kernel, *tasks)); !sent) return sent;
  }
}

int report(const Error& error) {
  std::fprintf(stderr, "mvm-net: %s\n", error.message().c_str());
  return kFailed;
}

}  // namespace

int run(const sandbox::Grants& grants) {
  Result<Kernel> kernel = Kernel::open();
  if (!kernel) return report(kernel.error());
  sandbox::enter_or_exit(grants);
  const Status served = serve(*kernel);
  return served ? 0 : report(served.error());
}

}  // namespace mvm::net
