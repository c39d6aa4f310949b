// Where a mark is: for tests on a node, as root. Every present page of every process, its environment and its command line are read.
//   key_hunt MARK             one line a find: PID COMM mem|environ|cmdline raw|hex|base64; exit 0 where there is none, 1 where there is one
//   key_hunt MARK --at PID    stops PID before and after each system call until the mark is in its memory, looks everywhere meanwhile, and lets
//                             it go on; exit 3 where the mark does not come within a minute
//   key_hunt MARK --quit-at PID  the same, but it gets a SIGQUIT before it goes on, which ends it with a core dump, if it leaves one
// MARK is a file with what is looked for. This process has it, and is the only one that is not looked into.
#include <dirent.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace mvm {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kBatch = 256;  // pages read at once
constexpr std::uint64_t kThereOrSwapped = std::uint64_t{3} << 62;  // Documentation/admin-guide/mm/pagemap.rst
constexpr std::chrono::minutes kPatience{1};

struct Form {
  const char* name;
  std::string bytes;
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    for (const int shift : {4, 0}) out += "0123456789abcdef"[(static_cast<unsigned char>(byte) >> shift) & 15];
  }
  return out;
}

// Of whole groups of three bytes, so that it is the beginning of any base64 text that begins with the mark.
std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at + 3 <= bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | static_cast<unsigned char>(bytes[at + i]);
    for (int shift = 18; shift >= 0; shift -= 6) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[group >> shift & 63];
  }
  return out;
}

using Found = std::function<void(const Form&)>;

bool look(std::string_view bytes, const std::vector<Form>& forms, const Found& found) {
  bool any = false;
  for (const Form& form : forms) {
    if (memmem(bytes.data(), bytes.size(), form.bytes.data(), form.bytes.size()) == nullptr) continue;
    found(form);
    any = true;
  }
  return any;
}

struct Range {
  std::uint64_t begin = 0, end = 0;
};

std::vector<Range> ranges_of(const std::string& proc) {
  std::vector<Range> ranges;
  std::ifstream maps(proc + "/maps");
  for (std::string line; std::getline(maps, line);) {
    Range range;
    const auto begin = std::from_chars(line.data(), line.data() + line.size(), range.begin, 16);
    std::from_chars(begin.ptr + 1, line.data() + line.size(), range.end, 16);
    if (line.find("[vsyscall]") == std::string::npos && line.find("[vvar") == std::string::npos) ranges.push_back(range);
  }
  return ranges;
}

// The pages of a range that are there, run by run.
bool look_into(const Range& range, const Fd& mem, const Fd& pagemap, const std::vector<Form>& forms, const Found& found) {
  bool any = false;
  std::string run;  // what is next to each other, so that a mark over the edge of a page is seen
  std::array<std::uint64_t, kBatch> entries{};
  for (std::uint64_t at = range.begin; at < range.end;) {
    const std::size_t pages = std::min<std::uint64_t>(kBatch, (range.end - at) / kPage);
    const ssize_t got = pread(pagemap.get(), entries.data(), pages * sizeof entries[0], static_cast<off_t>(at / kPage * sizeof entries[0]));
    if (got <= 0) break;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof entries[0]; ++i, at += kPage) {
      std::array<char, kPage> page;
      const bool there = (entries[i] & kThereOrSwapped) != 0 && pread(mem.get(), page.data(), page.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(kPage);
      if (there) run.append(page.data(), page.size());
      if (!there || run.size() >= kBatch * kPage) {
        any = look(run, forms, found) || any;
        run.erase(0, there ? run.size() - 256 : run.size());
      }
    }
  }
  return look(run, forms, found) || any;
}

bool memory_has(int pid, const std::vector<Form>& forms, const Found& found) {
  const std::string proc = "/proc/" + std::to_string(pid);
  const Fd mem(open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC)), pagemap(open((proc + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  bool any = false;
  for (const Range& range : ranges_of(proc)) any = look_into(range, mem, pagemap, forms, found) || any;
  return any;
}

int hunt(const std::vector<Form>& forms) {
  int processes = 0, finds = 0;
  DIR* const all = opendir("/proc");
  while (const dirent* const entry = readdir(all)) {
    const int pid = std::atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    const std::string proc = std::string("/proc/") + entry->d_name;
    std::string comm = content(proc + "/comm");
    if (!comm.empty()) comm.pop_back();
    const auto say = [&](const char* where) {
      return [&finds, pid, comm, where](const Form& form) {
        ++finds;
        std::printf("%d %s %s %s\n", pid, comm.c_str(), where, form.name);
      };
    };
    for (const char* each : {"environ", "cmdline"}) look(content(proc + "/" + each), forms, say(each));
    memory_has(pid, forms, say("mem"));
    ++processes;
  }
  closedir(all);
  std::printf("%d processes\n", processes);
  return finds == 0 ? 0 : 1;
}

int hunt_at(int pid, const std::vector<Form>& forms, int signal) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  int status = 0;
  if (ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACESYSGOOD) != 0 || ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) return 2;
  while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
    if (memory_has(pid, forms, [](const Form&) {})) {
      const int result = hunt(forms);
      if (signal != 0) kill(pid, signal);
      ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
      return result;
    }
    if (std::chrono::steady_clock::now() > until) break;
    const int number = WSTOPSIG(status);
    const bool is_signal = status >> 16 == 0 && number != (SIGTRAP | 0x80);
    if (ptrace(PTRACE_SYSCALL, pid, nullptr, is_signal ? number : 0) != 0) return 2;
  }
  ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  return 3;
}

int run(int argc, char** argv) {
  const std::string mark = argc < 2 ? "" : content(argv[1]);
  if (mark.size() < 16 || mark.size() > 64 || (argc != 2 && argc != 4)) return 64;
  const std::vector<Form> forms = {{"raw", mark}, {"hex", hex(mark)}, {"base64", base64(mark)}};
  if (argc == 2) return hunt(forms);
  const std::string_view how = argv[2];
  if (how != "--at" && how != "--quit-at") return 64;
  return hunt_at(std::atoi(argv[3]), forms, how == "--at" ? 0 : SIGQUIT);
}

}  // namespace
}  // namespace mvm

int main(int argc, char** argv) { return mvm::run(argc, argv); }
