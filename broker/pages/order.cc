#include "broker/pages/order.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace mvm::pages {
namespace {

constexpr std::uint64_t kMagic = 0x326765676170766d;  // "mvpageg2", backwards

struct Wire {
  std::uint64_t magic;
  std::uint32_t peer, patience;
  std::array<std::uint8_t, 32> file, base;
};
static_assert(sizeof(Wire) == kOrderBytes);

struct ReportHead {
  std::uint32_t said, count;
  std::uint64_t faults;
};
static_assert(sizeof(ReportHead) == 16);

}  // namespace

std::array<std::uint8_t, kOrderBytes> encode(const Order& order) {
  const Wire wire{kMagic, order.peer, order.patience, order.file.bytes, order.base.bytes};
  std::array<std::uint8_t, kOrderBytes> bytes;
  std::memcpy(bytes.data(), &wire, sizeof wire);
  return bytes;
}

Result<Order> decode_order(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != kOrderBytes) return fail(Errc::kMalformed, "read an order", "length");
  Wire wire;
  std::memcpy(&wire, bytes.data(), sizeof wire);
  if (wire.magic != kMagic) return fail(Errc::kMalformed, "read an order", "magic");
  if (wire.patience == 0 || wire.patience > kMaxPatience) return fail(Errc::kLimit, "read an order", "patience");
  return Order{Digest{wire.file}, Digest{wire.base}, wire.peer, wire.patience};
}

Result<Keys> Keys::room(const SecretArena& arena) {
  auto file = arena.take(kDataKeyBytes), base = arena.take(kDataKeyBytes);
  if (!file || !base) return forward(file ? base.error() : file.error());
  return Keys{std::move(*file), std::move(*base)};
}

Result<Order> receive_order(int channel, Keys& keys) {
  std::array<std::uint8_t, kOrderBytes> bytes{};
  std::array<iovec, 3> parts = {iovec{bytes.data(), bytes.size()}, iovec{keys.file.bytes().data(), keys.file.size()}, iovec{keys.base.bytes().data(), keys.base.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recvmsg(channel, &message, 0);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0) return fail_errno(saved, "read an order");
  if (got == 0) return fail(Errc::kClosed, "read an order");
  if (got != static_cast<ssize_t>(kOrderBytes + 2 * kDataKeyBytes) || (message.msg_flags & MSG_TRUNC) != 0) return fail(Errc::kMalformed, "read an order", "length");
  return decode_order(bytes);
}

Status send_order(int channel, const Order& order, const Keys& keys) {
  auto bytes = encode(order);
  const auto part = [](const Secret& key) { return iovec{const_cast<std::uint8_t*>(key.bytes().data()), key.size()}; };
  std::array<iovec, 3> parts = {iovec{bytes.data(), bytes.size()}, part(keys.file), part(keys.base)};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (sendmsg(channel, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(kOrderBytes + 2 * kDataKeyBytes)) return fail_errno(errno, "send an order");
  return {};
}

std::vector<std::uint8_t> encode(const Report& report) {
  const ReportHead head{static_cast<std::uint32_t>(report.said), static_cast<std::uint32_t>(report.touched.size()), report.faults};
  std::vector<std::uint8_t> bytes(sizeof head + 4 * report.touched.size());
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!report.touched.empty()) std::memcpy(bytes.data() + sizeof head, report.touched.data(), 4 * report.touched.size());
  return bytes;
}

Result<Report> decode_report(std::span<const std::uint8_t> bytes) {
  ReportHead head{};
  if (bytes.size() < sizeof head) return fail(Errc::kMalformed, "read a report", "length");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.said < static_cast<std::uint32_t>(Said::kReady) || head.said > static_cast<std::uint32_t>(Said::kGone)) return fail(Errc::kMalformed, "read a report", "what");
  if (head.count > kMaxTouched || bytes.size() != sizeof head + 4 * std::size_t{head.count}) return fail(Errc::kMalformed, "read a report", "length");
  Report report{static_cast<Said>(head.said), head.faults, std::vector<std::uint32_t>(head.count)};
  if (head.count > 0) std::memcpy(report.touched.data(), bytes.data() + sizeof head, 4 * std::size_t{head.count});
  return report;
}

Status send_report(int channel, const Report& report) {
  const auto bytes = encode(report);
  if (send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) return {};
  const int saved = errno;
  return saved == EPIPE || saved == ECONNRESET ? Status{} : fail_errno(saved, "send a report");
}

}  // namespace mvm::pages
