#include "tests/doubles/memory.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

namespace mvm::doubles {
namespace {

constexpr std::uint64_t kGap = 3ULL << 30;  // where x86's memory goes on above 4 GiB: a region each
constexpr std::uint64_t kHuge = 2ULL << 20;
constexpr std::uint64_t kRootPage = 0xe0000 / kPage;  // RSDP_ADDR
// What Firecracker writes there (v1.16.1): of Firecracker, revision 2, and two sums that are right.
constexpr unsigned char kRoot[] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', 0x2b, 'F', 'I', 'R', 'E', 'C', 'K', 2, 0, 0, 0, 0, 36, 0, 0, 0, 0xa7, 0, 0x0a, 0, 0, 0, 0, 0, 0x2b, 0, 0, 0};
const char* const kLoad = "Load snapshot error: Failed to restore from snapshot: Failed to load guest memory: ";

[[noreturn]] void fail(const std::string& what, int error) {
  throw std::runtime_error(what + strerror(error) + " (os error " + std::to_string(error) + ")");
}

std::uint64_t mixed(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

int new_userfaultfd() {
  int fd = -1;
  const int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (device >= 0) {
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    close(device);
  }
  if (fd < 0) fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  const int saved = errno;
  if (fd < 0) fail(std::string(kLoad) + "Failed to UFFD object: System error: ", saved);
  uffdio_api api{.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE, .ioctls = 0};
  if (ioctl(fd, UFFDIO_API, &api) != 0) fail(std::string(kLoad) + "Failed to UFFD object: ioctl: ", errno);
  return fd;
}

void send_with(const std::string& path, const std::string& text, int fd) {
  const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(std::string(kLoad) + "Failed to connect to UDS Unix stream: ", ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(std::string(kLoad) + "Failed to connect to UDS Unix stream: ", errno);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(connection, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) fail(std::string(kLoad) + "Failed to sends file descriptor: ", errno);
  // Never closed, as Firecracker never closes it.
}

}  // namespace

// Runs of pages, as [first, count].
nlohmann::json runs_of(const std::set<std::uint64_t>& pages) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
  for (const std::uint64_t page : pages) {
    if (runs.empty() || runs.back().first + runs.back().second != page) runs.emplace_back(page, 0);
    ++runs.back().second;
  }
  return runs;
}

std::set<std::uint64_t> pages_of(const nlohmann::json& runs) {
  std::set<std::uint64_t> pages;
  for (const auto& [first, count] : runs.get<std::vector<std::pair<std::uint64_t, std::uint64_t>>>()) {
    for (std::uint64_t i = 0; i < count; ++i) pages.insert(pages.end(), first + i);
  }
  return pages;
}

Memory::Memory(std::uint64_t bytes, std::uint64_t seed) : bytes_(bytes), seed_(seed), fresh_(true) { map_anonymous(0); }

Memory::Memory(const nlohmann::json& state) : bytes_(state.at("bytes")), seed_(state.at("seed")), held_(pages_of(state.at("held"))), zeros_(pages_of(state.at("zeros"))), has_tables_(state.at("tables")) {
  for (const auto& [page, times] : state.at("written").get<std::vector<std::pair<std::uint64_t, std::uint64_t>>>()) written_[page] = times;
}

Memory::~Memory() {
  ending_ = true;
  if (vcpu_.joinable()) vcpu_.join();
  for (const Region& region : regions_) munmap(region.at, region.size);
  if (userfaultfd_ >= 0) close(userfaultfd_);
}

nlohmann::json Memory::state() const {
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> written(written_.begin(), written_.end());
  return {{"bytes", bytes_}, {"seed", seed_}, {"written", written}, {"held", runs_of(held_)}, {"zeros", runs_of(zeros_)}, {"tables", has_tables_}};
}

std::vector<std::uint64_t> Memory::sizes() const { return bytes_ <= kGap ? std::vector{bytes_} : std::vector{kGap, bytes_ - kGap}; }

// Two of five are zeros, as most of a guest's memory is; the others text, or noise. What was written is noise.
void Memory::fill(std::uint64_t page, std::uint8_t* into) const {
  const auto times = written_.find(page);
  const std::uint64_t salt = mixed(seed_ ^ mixed(page + (times == written_.end() ? 0 : times->second) * 0x1'0000'0001));
  const std::uint64_t kind = times == written_.end() ? salt % 5 : 4;
  std::memset(into, 0, kPage);
  if (zeros_.contains(page)) return;
  for (std::size_t i = 0; kind >= 2 && i < kPage; i += 8) {
    const std::uint64_t word = kind == 4 ? mixed(salt + i) : 0x2064'6c72'6f77'0000 + (i / 64 + salt) % 4000;
    std::memcpy(into + i, &word, 8);
  }
  if (page == kRootPage && has_tables_) std::memcpy(into, kRoot, sizeof kRoot);
}

std::uint8_t* Memory::page_at(std::uint64_t page) const {
  const std::uint64_t offset = page * kPage;
  const auto region = std::ranges::find_if(regions_, [&](const Region& each) { return offset - each.offset < each.size; });
  return region->at + (offset - region->offset);
}

void Memory::map_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail(std::string(kLoad) + "Failed to load guest memory: ", errno);
  struct stat info {};
  fstat(file, &info);
  if (static_cast<std::uint64_t>(info.st_size) < bytes_) throw std::runtime_error(std::string(kLoad) + "Failed to restore guest memory: the file is too short");
  std::uint64_t offset = 0;
  for (const std::uint64_t size : sizes()) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, static_cast<off_t>(offset));
    if (at == MAP_FAILED) fail(std::string(kLoad) + "Failed to restore guest memory: ", errno);
    regions_.push_back({static_cast<std::uint8_t*>(at), size, offset});
    offset += size;
  }
  of_file_ = true;
  close(file);
}

void Memory::map_anonymous(int more_flags) {
  std::uint64_t offset = 0;
  for (const std::uint64_t size : sizes()) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | more_flags, -1, 0);
    if (at == MAP_FAILED) fail(std::string(kLoad) + "Failed to restore guest memory: ", errno);
    regions_.push_back({static_cast<std::uint8_t*>(at), size, offset});
    offset += size;
  }
}

void Memory::lay_out() {
  if (!fresh_ || std::exchange(laid_out_, true)) return;
  std::vector<std::uint8_t> wanted(kPage);
  const std::vector<std::uint8_t> zeros(kPage);
  for (std::uint64_t page = 0; page < bytes_ / kPage; ++page) {
    fill(page, wanted.data());
    if (wanted != zeros) std::memcpy(page_at(page), wanted.data(), kPage);
  }
}

void Memory::map_uffd(const std::string& socket, bool huge) {
  map_anonymous(huge ? MAP_HUGETLB | 21 << MAP_HUGE_SHIFT : 0);
  userfaultfd_ = new_userfaultfd();
  nlohmann::ordered_json mappings = nlohmann::ordered_json::array();
  const std::uint64_t page = huge ? kHuge : kPage;
  for (const Region& region : regions_) {
    const auto address = reinterpret_cast<std::uint64_t>(region.at);
    uffdio_register wanted{.range = {.start = address, .len = region.size}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
    if (ioctl(userfaultfd_, UFFDIO_REGISTER, &wanted) != 0) fail(std::string(kLoad) + "Failed to register memory address range with the userfaultfd object: ", errno);
    mappings.push_back({{"base_host_virt_addr", address}, {"size", region.size}, {"offset", region.offset}, {"page_size", page}, {"page_size_kib", page}});
  }
  send_with(socket, mappings.dump(), userfaultfd_);
}

void Memory::touch_first() const { (void)*static_cast<volatile std::uint8_t*>(page_at(0)); }

void Memory::write_image(const std::string& path, Pages which) const {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  const int saved = errno;
  const char* const kBacking = "Create snapshot error: Cannot perform ";
  if (file < 0) fail(std::string(kBacking) + "open on the memory backing file: ", saved);
  const auto check = [&](bool good, const char* what) {
    const int error = errno;
    if (!good) close(file);
    if (!good) fail(std::string(kBacking) + what + " on the memory backing file: ", error);
  };
  struct stat info {};
  fstat(file, &info);
  if (static_cast<std::uint64_t>(info.st_size) != bytes_) check(ftruncate(file, 0) == 0, "truncate");
  check(ftruncate(file, static_cast<off_t>(bytes_)) == 0, "set_length");
  std::vector<std::uint8_t> buffer(256 * kPage);
  std::uint64_t page = 0, pages = bytes_ / kPage, gathered = 0;
  const auto flush = [&] {
    check(lseek(file, static_cast<off_t>((page - gathered) * kPage), SEEK_SET) >= 0, "seek");
    for (std::size_t done = 0; done < gathered * kPage;) {
      const ssize_t wrote = write(file, buffer.data() + done, gathered * kPage - done);
      check(wrote > 0, "write");
      done += static_cast<std::size_t>(wrote);
    }
    gathered = 0;
  };
  for (; page < pages; ++page) {
    if (which == Pages::kDirty && !dirty_.contains(page)) {
      flush();
      continue;
    }
    std::memcpy(buffer.data() + gathered * kPage, page_at(page), kPage);
    if (++gathered == buffer.size() / kPage) {
      ++page;
      flush();
      --page;
    }
  }
  flush();
  check(fsync(file) == 0, "sync_all");
  close(file);
}

// Over what is mapped from a file a hole of empty memory is laid, for the file's page would come back.
void Memory::discard(std::uint64_t page) const {
  const bool done = of_file_ ? mmap(page_at(page), kPage, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE, -1, 0) != MAP_FAILED
                             : madvise(page_at(page), kPage, MADV_DONTNEED) == 0;
  if (!done) fail("Failed to remove guest memory: ", errno);
}

void Memory::give(std::uint64_t count) {
  for (std::uint64_t page = bytes_ / kPage; page-- > 0 && count > 0 && held_.size() < spare();) {
    if (written_.contains(page) || held_.contains(page) || page == kRootPage) continue;
    const std::scoped_lock lock(looking_);
    held_.insert(page);
    zeros_.insert(page);
    discard(page);
    --count;
  }
}

void Memory::take_back() { held_.clear(); }

void Memory::dirty(std::uint64_t count) {
  std::mt19937_64 random(std::random_device{}());
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t page = random() % (bytes_ / kPage);
    if (held_.contains(page)) continue;
    ++written_[page];
    zeros_.erase(page);
    dirty_.insert(page);
    if (!fresh_ || laid_out_) fill(page, page_at(page));
  }
}

std::string Memory::canary() const {
  if (written_.empty()) return "";
  std::vector<std::uint8_t> page(kPage);
  fill(written_.begin()->first, page.data());
  std::string hex;
  for (std::size_t i = 0; i < 32; ++i) {
    for (const int shift : {4, 0}) hex += "0123456789abcdef"[page[i] >> shift & 15];
  }
  return hex;
}

void Memory::run() {
  running_ = true;
  if (!fresh_ && !vcpu_.joinable()) vcpu_ = std::thread([this] { check_all(); });
}

void Memory::check_all() {
  std::vector<std::uint64_t> order(bytes_ / kPage);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, std::mt19937_64(std::random_device{}()));
  std::vector<std::uint8_t> wanted(kPage);
  for (const std::uint64_t page : order) {
    while (!running_ && !ending_) usleep(1000);
    if (ending_) return;
    const std::scoped_lock lock(looking_);
    fill(page, wanted.data());
    if (std::memcmp(page_at(page), wanted.data(), kPage) != 0) ++wrong_;
    ++checked_;
  }
}

std::string Memory::report() const {
  if (fresh_) return "fresh";
  return "checked=" + std::to_string(checked_) + " of=" + std::to_string(bytes_ / kPage) + " wrong=" + std::to_string(wrong_);
}

}  // namespace mvm::doubles
