#include "base/instance_bytes.h"

namespace mvm {
namespace {

std::optional<Name> name_of(const std::array<char, kMaxName>& padded) {
  const std::string_view all(padded.data(), padded.size());
  const auto name = Name::from(all.substr(0, all.find('\0')));
  return name && name->padded() == padded ? name : std::nullopt;
}

}  // namespace

InstanceBytes to_bytes(const Subject& instance) { return {instance.tenant.padded(), instance.pool.padded(), instance.instance.value, 0}; }

std::optional<Subject> from_bytes(const InstanceBytes& bytes) {
  const auto tenant = name_of(bytes.tenant), pool = name_of(bytes.pool);
  if (!tenant || !pool || bytes.zero != 0) return std::nullopt;
  return instance_subject(*tenant, *pool, InstanceId{bytes.instance});
}

}  // namespace mvm
