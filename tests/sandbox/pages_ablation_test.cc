// Needs root, and a kernel with userfaultfd.
#include <thread>

#include "broker/pages/serve.h"
#include "tests/pages/process.h"
#include "tests/sandbox/ablation.h"

namespace mvm {
namespace {

using pages::Said;

sandbox::Worker start(const std::vector<seccomp::Line>& lines, const test::Sleeping& snapshot, const test::Listener& listener) {
  static const test::Runnable executable(MVM_PAGES_UNDER_TEST);
  return test::start_with(executable, "pages", lines, sandbox::Channel::kSeqpacket, snapshot.descriptors(listener.fd()));
}

bool says(const sandbox::Worker& worker, Said what) {
  const auto report = test::next_report(worker);
  return report && report->said == what;
}

// A wake to its end, of a diff, with faults, and a balloon that takes memory meanwhile; chunks so large that malloc maps them.
bool serves(const std::vector<seccomp::Line>& lines) {
  const test::Sleeping snapshot = test::Sleeping::on_a_base(512, snapshot_file::kMaxChunk);
  const test::Listener listener;
  const auto worker = start(lines, snapshot, listener);
  if (!pages::send_order(worker.channel.get(), snapshot.order(test::kVmmUid, 10'000), snapshot.keys())) return false;
  if (!says(worker, Said::kReady)) return test::ended(worker) == 0;
  const pid_t vmm = test::start_vmm(listener, snapshot, 1, 500);
  const bool ok = says(worker, Said::kFirst) && says(worker, Said::kWhole);
  const bool ended = test::ended(worker) == 0;
  if (!ok || !ended) kill(vmm, SIGKILL);
  return test::ended_as(vmm) == test::kSawAllRight && ok && ended;
}

// Two who fault on one page: the second is woken.
bool wakes_the_second(const std::vector<seccomp::Line>& lines) {
  const test::Sleeping snapshot(64);
  const test::Listener listener;
  const auto worker = start(lines, snapshot, listener);
  if (!pages::send_order(worker.channel.get(), snapshot.order(0, 10'000), snapshot.keys()) || !says(worker, Said::kReady)) return false;
  const test::WatchedMemory memory({snapshot.image.size()});
  const Fd connection(listener.connected());
  // The page is put in by hand while its fault is in the queue, so the page server finds it there.
  std::thread guest([&] { (void)*memory.at(5 * test::kPagesChunk); });
  memory.await_event();
  uffdio_copy copy{.dst = reinterpret_cast<std::uint64_t>(memory.at(5 * test::kPagesChunk)), .src = reinterpret_cast<std::uint64_t>(snapshot.image.data() + 5 * test::kPagesChunk),
                   .len = snapshot_file::kPage, .mode = UFFDIO_COPY_MODE_DONTWAKE, .copy = 0};
  ioctl(memory.userfaultfd(), UFFDIO_COPY, &copy);
  const bool sent = test::send_with(connection.get(), memory.message(), memory.userfaultfd());
  const bool ok = sent && says(worker, Said::kFirst) && says(worker, Said::kWhole) && test::ended(worker) == 0;
  uffdio_range all{.start = reinterpret_cast<std::uint64_t>(memory.at(0)), .len = snapshot.image.size()};
  ioctl(memory.userfaultfd(), UFFDIO_WAKE, &all);
  guest.join();
  return ok;
}

// All of the memory into a file, and the end.
bool writes_it_whole(const std::vector<seccomp::Line>& lines) {
  const test::Sleeping snapshot(64);
  static const test::Runnable executable(MVM_PAGES_UNDER_TEST);
  const Fd memory(memfd_create("memory", MFD_CLOEXEC));
  const auto worker = test::start_with(executable, "pages", lines, sandbox::Channel::kSeqpacket, snapshot.descriptors(memory.get()));
  if (!pages::send_order(worker.channel.get(), snapshot.order(0, 10'000), snapshot.keys()) || !says(worker, Said::kReady)) return false;
  return says(worker, Said::kWhole) && test::ended(worker) == 0 && test::bytes_of(memory.get()) == snapshot.image;
}

bool says_why_it_ends(const std::vector<seccomp::Line>& lines) {
  const test::Sleeping snapshot(4);
  const test::Listener listener;
  const auto worker = start(lines, snapshot, listener);
  return send(worker.channel.get(), "no order", 8, MSG_NOSIGNAL) == 8 && test::ended(worker) == 70;
}

bool all_of_pages(const std::vector<seccomp::Line>& lines) { return serves(lines) && wakes_the_second(lines) && writes_it_whole(lines) && says_why_it_ends(lines); }

MVM_ABLATION(PagesGrant, "pages", all_of_pages)

}  // namespace
}  // namespace mvm
