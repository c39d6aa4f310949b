// A key for every tenant and version, which anyone can work out: 32 times the sum of the version and the tenant's first letter.
#pragma once

#include <algorithm>
#include <memory>

#include "broker/storage/key_source.h"
#include "broker/storage/luks.h"
#include "drive/files.h"

namespace mvm::storage {

inline Secret key_of_bytes(const SecretArena& arena, std::uint8_t byte) {
  auto key = arena.take(kKeyBytes).value();
  std::ranges::fill(key.bytes(), byte);
  return key;
}

class FixedKeys : public KeySource {
 public:
  explicit FixedKeys(SecretArena arena) : arena_(std::move(arena)) {}
  [[nodiscard]] Result<std::vector<Secret>> keys_of(const wire::Task& task) override {
    std::vector<Secret> keys;
    const bool moves = task.op == wire::Op::kMove;
    for (std::size_t i = 0; i < (moves ? 2u : 1u); ++i) {
      const std::uint64_t version = moves ? task.statement.numbers[i] : task.statement.number("key");
      keys.push_back(key_of_bytes(arena_, static_cast<std::uint8_t>(task.statement.subject.tenant.view()[0] + version)));
    }
    return keys;
  }
  // One file, of 4 KiB and a little.
  [[nodiscard]] Result<Secret> content_of(const wire::Task&) override {
    const std::string secret(5000, 'S');
    const auto bytes = drive::write_files({{"token", {reinterpret_cast<const std::uint8_t*>(secret.data()), secret.size()}}});
    auto content = arena_.take(bytes->size());
    if (content) std::ranges::copy(*bytes, content->bytes().begin());
    return content;
  }

 private:
  SecretArena arena_;
};

inline std::unique_ptr<KeySource> fixed_keys(const sealing::Session& session) { return std::make_unique<FixedKeys>(session.arena()); }

}  // namespace mvm::storage
