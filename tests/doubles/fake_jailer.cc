// A double of Firecracker's jailer, for tests: the command line, the checks, the steps and their order of v1.16.1
// (src/jailer/src/{main,env,chroot}.rs). What it leaves out, it refuses: --cgroup, --parent-cgroup, --cgroup-version 2.
// Never installed; `--version` says what it is.
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "tests/doubles/arguments.h"

namespace mvm::doubles {
namespace {

const std::vector<Argument> kKnown = {
    {"id", Takes::kValue, true},        {"exec-file", Takes::kValue, true},  {"uid", Takes::kValue, true},
    {"gid", Takes::kValue, true},       {"chroot-base-dir"},                 {"netns"},
    {"daemonize", Takes::kFlag},        {"new-pid-ns", Takes::kFlag},        {"cgroup", Takes::kValues},
    {"resource-limit", Takes::kValues}, {"cgroup-version"},                  {"parent-cgroup"},
    {"version", Takes::kFlag}};

struct Device {
  const char* path;
  unsigned major, minor;
};
constexpr Device kDevices[] = {{"/dev/net/tun", 10, 200}, {"/dev/kvm", 10, 232}, {"/dev/urandom", 1, 9}};

struct Jail {
  std::string id, exec_path, exec_name, root;
  uid_t uid = 0;
  gid_t gid = 0;
  rlim_t no_file = 2048;
  rlim_t file_size = RLIM_INFINITY;
  bool new_pid_ns = false;
  bool daemonize = false;
  std::string netns;
  std::vector<std::string> extra;
};

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
void check(long result, const std::string& what) {
  const int saved = errno;
  if (result < 0) fail(what + ": " + strerror(saved));
}

unsigned long number(const std::string& text, const std::string& otherwise) {
  std::size_t used = 0;
  unsigned long value = 0;
  try {
    value = std::stoul(text, &used);
  } catch (const std::exception&) {
    fail(otherwise);
  }
  if (used != text.size() || text[0] == '-' || text[0] == ' ') fail(otherwise);
  return value;
}

unsigned id_number(const std::string& text, const char* kind) {
  const unsigned long value = number(text, std::string("Invalid ") + kind + ": " + text);
  if (value > UINT_MAX) fail(std::string("Invalid ") + kind + ": " + text);
  return static_cast<unsigned>(value);
}

std::string canonical(const std::string& path) {
  char* found = realpath(path.c_str(), nullptr);
  const int saved = errno;
  if (found == nullptr) fail("Failed to canonicalize path " + path + ": " + strerror(saved));
  std::string text(found);
  free(found);
  return text;
}

void read_limits(Jail& jail, const std::vector<std::string>& limits) {
  for (const std::string& limit : limits) {
    const std::size_t equals = limit.find('=');
    if (equals == std::string::npos) fail("Invalid format for resources limits: " + limit);
    const std::string name = limit.substr(0, equals);
    const rlim_t value = number(limit.substr(equals + 1), "Invalid limit value for resource: " + limit.substr(equals + 1));
    if (name == "fsize") jail.file_size = value;
    else if (name == "no-file") jail.no_file = value;
    else fail("Invalid resource argument: " + name);
  }
}

Jail read_arguments(const Arguments& arguments) {
  Jail jail;
  jail.id = arguments.one("id");
  check_instance_id(jail.id);
  jail.exec_path = canonical(arguments.one("exec-file"));
  struct stat info{};
  check(stat(jail.exec_path.c_str(), &info), "Cannot get metadata");
  if (!S_ISREG(info.st_mode)) fail(jail.exec_path + " is not a file");
  jail.exec_name = jail.exec_path.substr(jail.exec_path.rfind('/') + 1);
  const std::string base = canonical(arguments.one("chroot-base-dir", "/srv/jailer"));
  check(stat(base.c_str(), &info), "Cannot get metadata");
  if (!S_ISDIR(info.st_mode)) fail(base + " is not a directory");
  jail.root = base + "/" + jail.exec_name + "/" + jail.id + "/root";
  jail.uid = id_number(arguments.one("uid"), "uid");
  jail.gid = id_number(arguments.one("gid"), "gid");
  if (arguments.has("cgroup") || arguments.has("parent-cgroup") || arguments.one("cgroup-version", "1") != "1") {
    fail("fake-jailer: cgroup arguments are not doubled; start it in its cgroup");
  }
  read_limits(jail, arguments.all("resource-limit"));
  jail.new_pid_ns = arguments.has("new-pid-ns");
  jail.daemonize = arguments.has("daemonize");
  jail.netns = arguments.one("netns");
  jail.extra = arguments.extra;
  return jail;
}

void make_all(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) fail("Failed to create directory " + part + ": " + strerror(errno));
    if (at == std::string::npos) return;
  }
}

void copy_exec(const Jail& jail) {
  const int from = open(jail.exec_path.c_str(), O_RDONLY | O_CLOEXEC);
  check(from, "Failed to open file " + jail.exec_path);
  struct stat info{};
  check(fstat(from, &info), "Cannot get metadata");
  const std::string path = jail.root + "/" + jail.exec_name;
  const int to = open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, info.st_mode & 07777);
  check(to, "Failed to open file " + path);
  check(fstat(to, &info), "Cannot get metadata");
  if (info.st_nlink > 1) fail("Detected hard link at: " + path);
  check(fchown(to, jail.uid, jail.gid), "Failed to change owner for " + path);
  char buffer[65536];
  for (ssize_t got; (got = read(from, buffer, sizeof buffer)) != 0;) {
    check(got, "Failed to copy");
    check(write(to, buffer, static_cast<std::size_t>(got)), "Failed to copy");
  }
  close(from);
  close(to);
}

void set_limit(__rlimit_resource resource, rlim_t value, const char* name) {
  const rlimit limit{value, value};
  check(setrlimit(resource, &limit), std::string("Failed to set limit for resource: ") + name);
}

void change_root(const std::string& root) {
  check(unshare(CLONE_NEWNS), "Failed to unshare into new mount namespace");
  check(mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr), "Failed to change the propagation type to slave");
  check(mount(root.c_str(), root.c_str(), nullptr, MS_BIND | MS_REC, nullptr), "Failed to bind mount the jail root directory");
  check(chdir(root.c_str()), "Failed to change current directory");
  check(mkdir("old_root", 0600), "Failed to create the jail root directory before pivoting root");
  check(syscall(SYS_pivot_root, ".", "old_root"), "Failed to pivot root");
  check(chdir("/"), "Failed to chdir into chroot directory");
  check(umount2("old_root", MNT_DETACH), "Failed to unmount the old jail root");
  check(rmdir("old_root"), "Failed to remove old jail root directory");
}

void make_devices(const Jail& jail, long userfaultfd_minor) {
  for (const char* folder : {"/", "/dev", "/dev/net", "/run"}) {
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) fail(std::string("Failed to create directory ") + folder);
    check(chmod(folder, 0700), std::string("Failed to change permissions on ") + folder);
    check(chown(folder, jail.uid, jail.gid), std::string("Failed to change owner for ") + folder);
  }
  const auto device = [&](const char* path, unsigned device_major, unsigned device_minor) {
    check(mknod(path, S_IFCHR | 0600, makedev(device_major, device_minor)), std::string("Failed to create ") + path + " via mknod inside the jail");
    check(chown(path, jail.uid, jail.gid), std::string("Failed to change owner for ") + path);
  };
  for (const Device& each : kDevices) device(each.path, each.major, each.minor);
  if (userfaultfd_minor >= 0) device("/dev/userfaultfd", 10, static_cast<unsigned>(userfaultfd_minor));
}

// The jailer splits a line of /proc/misc ("%3i %s") at each space and looks at the second part, so it finds the device only
// where the minor has three digits.
long userfaultfd_minor() {
  std::ifstream misc("/proc/misc");
  for (std::string line; std::getline(misc, line);) {
    if (line.ends_with(" userfaultfd") && line[0] != ' ') return std::stol(line);
  }
  return -1;
}

[[noreturn]] void exec_into(const Jail& jail) {
  std::vector<std::string> words = {"/" + jail.exec_name, "--id", jail.id, "--start-time-us", "1", "--start-time-cpu-us", "1",
                                    "--parent-cpu-time-us", "1"};
  words.insert(words.end(), jail.extra.begin(), jail.extra.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  if (getuid() == 0) check(setgroups(0, nullptr), "Failed to exec into Firecracker: setgroups");
  check(setgid(jail.gid), "Failed to exec into Firecracker: setgid");
  check(setuid(jail.uid), "Failed to exec into Firecracker: setuid");
  execve(argv[0], argv.data(), environment);
  fail(std::string("Failed to exec into Firecracker: ") + strerror(errno));
}

void save_pid(const Jail& jail, pid_t pid) {
  const std::string path = "/" + jail.exec_name + ".pid";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  check(file, "Failed to open file " + path);
  const std::string text = std::to_string(pid);
  check(write(file, text.data(), text.size()), "Failed to write to " + path);
  close(file);
}

void go_to_background() {
  if (const pid_t child = fork(); child != 0) _exit(child < 0);
  check(setsid(), "Failed to daemonize: setsid");
  if (const pid_t child = fork(); child != 0) _exit(child < 0);
}

void run(const Jail& jail) {
  make_all(jail.root);
  copy_exec(jail);
  if (!jail.netns.empty()) {
    const int file = open(jail.netns.c_str(), O_RDONLY | O_CLOEXEC);
    check(file, "Failed to open file " + jail.netns);
    check(setns(file, CLONE_NEWNET), "Failed to join network namespace: netns");
    close(file);
  }
  if (jail.file_size != RLIM_INFINITY) set_limit(RLIMIT_FSIZE, jail.file_size, "size of file");
  set_limit(RLIMIT_NOFILE, jail.no_file, "number of file descriptors");
  const long minor_number = userfaultfd_minor();
  const int null = jail.daemonize ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
  change_root(jail.root);
  make_devices(jail, minor_number);
  if (jail.daemonize) {
    go_to_background();
    for (int fd = 0; fd < 3; ++fd) check(dup2(null, fd), "Failed to duplicate fd");
  }
  if (!jail.new_pid_ns) {
    save_pid(jail, getpid());
    exec_into(jail);
  }
  const bool leader = !jail.daemonize && getsid(0) == getpid();
  const long child = syscall(SYS_clone, CLONE_NEWPID, nullptr, nullptr, nullptr, 0);
  check(child, "Failed cloning into a new child process");
  if (child == 0) {
    if (leader) check(setsid(), "Failed to daemonize: setsid");
    exec_into(jail);
  }
  save_pid(jail, static_cast<pid_t>(child));
}

int main_of(const std::vector<std::string>& words) {
  check(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE), "Failed to sanitize the Jailer process");
  clearenv();
  const Arguments arguments = [&] {
    try {
      return parse_arguments(kKnown, words);
    } catch (const std::exception& error) {
      fail(std::string("Failed to parse arguments: ") + error.what());
    }
  }();
  if (arguments.has("version") || arguments.has("help")) {
    std::cout << "Jailer v" << kVersion << "\n\n";
    return 0;
  }
  run(read_arguments(arguments));
  return 0;
}

}  // namespace
}  // namespace mvm::doubles

int main(int argc, char** argv) {
  try {
    return mvm::doubles::main_of({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\nError: " << error.what() << "\n";
    return 1;
  }
}
