// What of a process' memory a core dump would have: all that is not marked to be left out, as secret memory is.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace mvm::test {

inline bool holds(std::string_view bytes, std::span<const std::uint8_t> masked) {
  const auto is_it = [](char has, std::uint8_t wanted) { return static_cast<std::uint8_t>(~static_cast<std::uint8_t>(has)) == wanted; };
  const char first = static_cast<char>(~masked.front());
  for (std::size_t at = bytes.find(first); at != bytes.npos && at + masked.size() <= bytes.size(); at = bytes.find(first, at + 1)) {
    if (std::equal(masked.begin(), masked.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at), [&](std::uint8_t wanted, char has) { return is_it(has, wanted); })) return true;
  }
  return false;
}

// Whether those bytes are in it. `masked` has each of them inverted, so that what looks for them in itself does not find what it looks for.
// `process`: "self", or a number; then whoever looks may read its memory.
inline bool is_dumped(const std::string& process, std::span<const std::uint8_t> masked) {
  const Fd memory(open(("/proc/" + process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::ifstream smaps("/proc/" + process + "/smaps");
  if (!memory.valid() || !smaps) std::abort();
  unsigned long begin = 0, end = 0;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long first = 0, behind = 0;
    char readable = '-';
    if (std::sscanf(line.c_str(), "%lx-%lx %c", &first, &behind, &readable) == 3) begin = first, end = readable == 'r' ? behind : first;
    if (!line.starts_with("VmFlags:") || line.find(" dd") != std::string::npos) continue;
    std::string bytes(end - begin, '\0');
    const ssize_t got = pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(begin));
    bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    if (holds(bytes, masked)) return true;
  }
  return false;
}

}  // namespace mvm::test
