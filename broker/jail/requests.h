// What is asked of Firecracker to make a microVM, as bytes. Fixed templates, filled with numbers and with names that are
// already checked ids, so nothing needs escaping. Held to firecracker's API description, v1.16.1. Pure.
// Proven by: tests/jail/requests_test.cc (byte for byte), and by every request meeting the double's table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "broker/jail/way.h"
#include "policy-lang/statement.h"
#include "schemas/worker.h"

namespace mvm::jail {

struct Request {
  std::string method;
  std::string path;
  std::string body;
  bool operator==(const Request&) const = default;
};

// Token buckets for one microVM, of bytes and operations, that refill every second: what the plan says (pps and mbps of its tap,
// io of its cgroup), and never more than these, which keep one guest from flooding the VMM's thread and the host's queues.
inline constexpr std::uint64_t kNetBytes = 256ull << 20;
inline constexpr std::uint64_t kNetPackets = 200'000;
inline constexpr std::uint64_t kDriveBytes = 512ull << 20;
inline constexpr std::uint64_t kDriveOps = 50'000;
inline constexpr std::uint64_t kEntropyBytes = 64ull << 10;

// The guest's kernel command line. Serial console off (8250.nr_uarts=0), its address by ip= (nfsroot.txt); no acpi=off, the
// guest finds its devices by ACPI. Firecracker adds root= for the root drive.
[[nodiscard]] std::string boot_args(const wire::Place& place);

// All that comes before InstanceStart, in order.
[[nodiscard]] std::vector<Request> configuration(const lang::Statement& jail, const wire::Place& place);
[[nodiscard]] Request start();
[[nodiscard]] Request pause();
[[nodiscard]] Request resume();
// What a snapshot takes, of what is paused, and gives. Loading leaves it paused; its memory is served at uffd.sock, or is all in a file. Firecracker keeps no MMDS data
// in a snapshot, so they are put anew.
[[nodiscard]] Request create_snapshot();
// The same, whose memory goes to nobody: once it has written its state it waits for who would read it.
[[nodiscard]] Request create_held_snapshot();
inline constexpr const char* kHoldInVmm = "/memory/hold";
[[nodiscard]] Request load_snapshot(Way way);
// A snapshot brings the limits of its devices along, as they were when it was made: these set them, while it is paused, to what tap and cgroup say now.
[[nodiscard]] std::vector<Request> limits(const wire::Place& place);
[[nodiscard]] Request metadata(const lang::Statement& jail, const wire::Place& place);
// Of what has started; at boot it is empty.
[[nodiscard]] Request resize_balloon(std::uint32_t mib);

// kUnsupported: older than v1.10, or not a version ("1.16.1", with an optional "-suffix").
[[nodiscard]] Status check_version(std::string_view version);

}  // namespace mvm::jail
