#include "tests/doubles/guest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <utility>

namespace mvm::doubles {
namespace {

constexpr std::size_t kVnetHeader = 12;  // struct virtio_net_hdr_v1
constexpr std::size_t kEthernet = 14, kIp = 20, kIcmp = 8;
constexpr std::uint16_t kArp = 0x0806, kIpv4 = 0x0800;
constexpr std::uint8_t kEchoRequest = 8, kEchoReply = 0;
constexpr std::chrono::milliseconds kPatience{1000};

std::uint16_t get16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t get32(const std::uint8_t* at) { return std::uint32_t{get16(at)} << 16 | get16(at + 2); }
void put16(std::vector<std::uint8_t>& to, unsigned value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}
void put32(std::vector<std::uint8_t>& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}
void put_mac(std::vector<std::uint8_t>& to, const Mac& mac) { to.insert(to.end(), mac.begin(), mac.end()); }

// RFC 1071.
std::uint16_t checksum(const std::uint8_t* at, std::size_t size) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < size; i += 2) sum += static_cast<std::uint32_t>(at[i] << 8 | (i + 1 < size ? at[i + 1] : 0));
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint32_t address_of(const std::string& text) {
  in_addr parsed{};
  return inet_pton(AF_INET, text.c_str(), &parsed) == 1 ? ntohl(parsed.s_addr) : 0;
}
std::string text_of(std::uint32_t address) {
  const in_addr parsed{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &parsed, text, sizeof text);
}

std::vector<std::uint8_t> ethernet(const Mac& to, const Mac& from, std::uint16_t type) {
  std::vector<std::uint8_t> frame;
  put_mac(frame, to);
  put_mac(frame, from);
  put16(frame, type);
  return frame;
}

// `message`: an ICMP message whose checksum is still 0.
std::vector<std::uint8_t> icmp_frame(const Mac& to, const Mac& from, std::uint32_t source, std::uint32_t target, std::vector<std::uint8_t> message) {
  const std::uint16_t sum = checksum(message.data(), message.size());
  message[2] = static_cast<std::uint8_t>(sum >> 8);
  message[3] = static_cast<std::uint8_t>(sum);
  std::vector<std::uint8_t> header = {0x45, 0};
  put16(header, static_cast<unsigned>(kIp + message.size()));
  put32(header, 0);
  header.insert(header.end(), {64, IPPROTO_ICMP, 0, 0});
  put32(header, source);
  put32(header, target);
  const std::uint16_t header_sum = checksum(header.data(), header.size());
  header[10] = static_cast<std::uint8_t>(header_sum >> 8);
  header[11] = static_cast<std::uint8_t>(header_sum);
  auto frame = ethernet(to, from, kIpv4);
  frame.insert(frame.end(), header.begin(), header.end());
  frame.insert(frame.end(), message.begin(), message.end());
  return frame;
}

// The value of ip= : client::gateway:mask::device:off
std::vector<std::string> ip_words(const std::string& boot_args) {
  std::istringstream words(boot_args);
  for (std::string word; words >> word;) {
    if (!word.starts_with("ip=")) continue;
    std::vector<std::string> parts;
    std::istringstream fields(word.substr(3));
    for (std::string part; std::getline(fields, part, ':');) parts.push_back(part);
    return parts;
  }
  return {};
}

}  // namespace

std::string errno_text(int number) { return std::string(strerror(number)) + " (os error " + std::to_string(number) + ")"; }

std::optional<std::string> Guest::open_tap(const std::string& name, const std::string& mac) {
  if (name.size() >= IFNAMSIZ) return "Invalid interface name";
  if (tap_ >= 0) close(tap_);
  tap_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap_ < 0) return std::string("Couldn't open /dev/net/tun: ") + strerror(errno);
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  const int header = kVnetHeader;
  if (ioctl(tap_, TUNSETIFF, &request) < 0 || ioctl(tap_, TUNSETOFFLOAD, 0) < 0 || ioctl(tap_, TUNSETVNETHDRSZ, &header) < 0) {
    const std::string why = "Error while creating ifreq structure: " + errno_text(errno) + ". Invalid TUN/TAP Backend provided by " + name + kSeeTaps;
    close(tap_);
    tap_ = -1;
    return why;
  }
  std::array<unsigned, 6> bytes{};
  std::sscanf(mac.c_str(), "%x:%x:%x:%x:%x:%x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]);
  std::ranges::transform(bytes, mac_.begin(), [](unsigned byte) { return static_cast<std::uint8_t>(byte); });
  return std::nullopt;
}

void Guest::begin(const std::string& boot_args) {
  const auto parts = ip_words(boot_args);
  if (parts.size() < 4) return;
  address_ = address_of(parts[0]);
  gateway_ = address_of(parts[2]);
  mask_ = address_of(parts[3]);
}

// Without its header; no bytes: there is none.
std::vector<std::uint8_t> Guest::read_frame() const {
  std::vector<std::uint8_t> buffer(65536);
  const ssize_t got = read(tap_, buffer.data(), buffer.size());
  if (got < static_cast<ssize_t>(kVnetHeader + kEthernet)) return {};
  return {buffer.begin() + kVnetHeader, buffer.begin() + got};
}

void Guest::receive() {
  const auto frame = read_frame();
  if (!frame.empty()) take(frame.data(), frame.size());
}

void Guest::keep() {
  if (auto frame = read_frame(); !frame.empty()) kept_.push_back(std::move(frame));
}

void Guest::take_kept() {
  for (const auto& frame : std::exchange(kept_, {})) take(frame.data(), frame.size());
}

void Guest::take(const std::uint8_t* frame, std::size_t size) {
  ++seen_;
  if (get16(frame + 12) == kArp) receive_arp(frame, size);
  if (get16(frame + 12) == kIpv4) receive_ip(frame, size);
}

void Guest::send_frame(const std::vector<std::uint8_t>& frame) {
  std::vector<std::uint8_t> whole(kVnetHeader);
  whole.insert(whole.end(), frame.begin(), frame.end());
  (void)!write(tap_, whole.data(), whole.size());
}

void Guest::send_arp(std::uint16_t operation, const Mac& to, std::uint32_t to_address) {
  constexpr Mac kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  auto frame = ethernet(operation == 1 ? kAll : to, mac_, kArp);
  put16(frame, 1);
  put16(frame, kIpv4);
  frame.insert(frame.end(), {6, 4});
  put16(frame, operation);
  put_mac(frame, mac_);
  put32(frame, address_);
  put_mac(frame, to);
  put32(frame, to_address);
  send_frame(frame);
}

void Guest::receive_arp(const std::uint8_t* frame, std::size_t size) {
  if (size < kEthernet + 28) return;
  const std::uint8_t* const arp = frame + kEthernet;
  Mac sender;
  std::copy_n(arp + 8, sender.size(), sender.begin());
  const std::uint32_t sender_address = get32(arp + 14), target = get32(arp + 24);
  neighbours_[sender_address] = sender;
  if (get16(arp + 6) == 1 && target == address_ && address_ != 0) send_arp(2, sender, sender_address);
  for (Ping& ping : pings_) {
    if (!ping.sent && ping.hop == sender_address) send_echo(ping, sender);
  }
}

void Guest::receive_ip(const std::uint8_t* frame, std::size_t size) {
  const std::uint8_t* const ip = frame + kEthernet;
  if (size < kEthernet + kIp + kIcmp || ip[0] != 0x45 || ip[9] != IPPROTO_ICMP) return;
  const std::size_t length = std::min<std::size_t>(get16(ip + 2), size - kEthernet);
  if (length < kIp + kIcmp) return;
  const std::uint8_t* const icmp = ip + kIp;
  const std::uint32_t source = get32(ip + 12), target = get32(ip + 16);
  if (icmp[0] == kEchoRequest && target == address_) {
    Mac sender;
    std::copy_n(frame + 6, sender.size(), sender.begin());
    std::vector<std::uint8_t> message(icmp, ip + length);
    message[0] = kEchoReply;
    message[2] = message[3] = 0;
    send_frame(icmp_frame(sender, mac_, address_, source, std::move(message)));
  }
  if (icmp[0] != kEchoReply) return;
  const auto ping = std::ranges::find_if(pings_, [&](const Ping& each) { return each.sent && each.sequence == get16(icmp + 6) && each.to == source; });
  if (ping == pings_.end()) return;
  char line[64];
  std::snprintf(line, sizeof line, "reply %.2fms", std::chrono::duration<double, std::milli>(Clock::now() - ping->since).count());
  done_.push_back({ping->client, line});
  pings_.erase(ping);
}

void Guest::send_echo(Ping& ping, const Mac& to) {
  ping.sent = true;
  std::vector<std::uint8_t> message = {kEchoRequest, 0, 0, 0};
  put16(message, 0x6d76);
  put16(message, ping.sequence);
  for (const char c : std::string("mvm guest of a test double")) message.push_back(static_cast<std::uint8_t>(c));
  send_frame(icmp_frame(to, mac_, ping.from, ping.to, std::move(message)));
}

std::string Guest::drive_command(const std::string& line) const {
  std::istringstream words(line);
  std::string verb, id, what;
  off_t offset = 0;
  words >> verb >> id >> offset >> what;
  const auto drive = drives_.find(id);
  if (drive == drives_.end()) return "no such drive";
  if (verb == "write") {
    const bool wrote = lseek(drive->second, offset, SEEK_SET) == offset && write(drive->second, what.data(), what.size()) == static_cast<ssize_t>(what.size()) && fsync(drive->second) == 0;
    return wrote ? "written" : std::string("not written: ") + strerror(errno);
  }
  std::string data(std::min<std::size_t>(std::strtoul(what.c_str(), nullptr, 10), 4096), '\0');
  const bool there = lseek(drive->second, offset, SEEK_SET) == offset && read(drive->second, data.data(), data.size()) == static_cast<ssize_t>(data.size());
  if (!there) return std::string("not read: ") + strerror(errno);
  std::ranges::replace_if(data, [](char c) { return c < ' ' || c > '~'; }, '.');
  return data;
}

std::optional<std::string> Guest::command(std::uint64_t client, const std::string& line) {
  std::istringstream words(line);
  std::string verb, first, second;
  words >> verb >> first >> second;
  if (verb == "address") return text_of(address_);
  if (verb == "write" || verb == "read") return drive_command(line);
  if (verb == "seen") return std::to_string(seen_);
  if (verb == "send") {
    std::vector<std::uint8_t> frame;
    for (std::size_t i = 0; i + 1 < first.size(); i += 2) frame.push_back(static_cast<std::uint8_t>(std::stoul(first.substr(i, 2), nullptr, 16)));
    send_frame(frame);
    return "sent " + std::to_string(frame.size());
  }
  if (verb != "ping" && verb != "pingfrom") return "what?";
  const std::uint32_t to = address_of(verb == "ping" ? first : second);
  if (to == 0) return "what?";
  const std::uint32_t hop = (to & mask_) == (address_ & mask_) ? to : gateway_;
  pings_.push_back({client, verb == "ping" ? address_ : address_of(first), to, hop, ++sequence_, false, Clock::now()});
  const auto known = neighbours_.find(hop);
  if (known != neighbours_.end()) send_echo(pings_.back(), known->second);
  else send_arp(1, {}, hop);
  return std::nullopt;
}

std::vector<Outcome> Guest::outcomes() {
  std::erase_if(pings_, [&](const Ping& ping) {
    if (Clock::now() - ping.since < kPatience) return false;
    done_.push_back({ping.client, ping.sent ? "timeout" : "timeout (no arp reply)"});
    return true;
  });
  return std::exchange(done_, {});
}

}  // namespace mvm::doubles
