#include "base/ids.h"

#include <array>

namespace mvm {
namespace {

constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

constexpr std::array<bool, 256> kInNames = [] {
  std::array<bool, 256> in{};
  for (std::size_t c = 0; c < in.size(); ++c) in[c] = is_lower(static_cast<char>(c)) || (c >= '0' && c <= '9') || c == '-';
  return in;
}();

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxName || !is_lower(text.front()) || text.back() == '-') return false;
  for (const char c : text) {
    if (!kInNames[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

}  // namespace

std::optional<Name> Name::from(std::string_view text) {
  std::optional<Name> name;
  if (!is_name(text)) return name;
  name.emplace();
  std::memcpy(name->chars_.data(), text.data(), text.size());
  return name;
}

std::optional<InstanceId> InstanceId::from(std::string_view text) {
  if (text.size() != 10 || !text.starts_with("i-")) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(2)) {
    if (c >= '0' && c <= '9') value = value << 4 | static_cast<std::uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f') value = value << 4 | static_cast<std::uint32_t>(c - 'a' + 10);
    else return std::nullopt;
  }
  return InstanceId{value};
}

std::string to_string(InstanceId id) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text = "i-";
  for (int shift = 28; shift >= 0; shift -= 4) text += kHex[id.value >> shift & 15];
  return text;
}

std::string to_string(const Subject& subject) {
  if (subject.kind == SubjectKind::kNone) return {};
  std::string text(subject.tenant.view());
  if (subject.kind == SubjectKind::kTenant) return text;
  text += '/';
  text += subject.pool.view();
  if (subject.kind == SubjectKind::kInstance) text += '/' + to_string(subject.instance);
  return text;
}

Subject tenant_subject(Name tenant) { return {tenant, {}, SubjectKind::kTenant, {}}; }
Subject pool_subject(Name tenant, Name pool) { return {tenant, pool, SubjectKind::kPool, {}}; }
Subject instance_subject(Name tenant, Name pool, InstanceId instance) {
  return {tenant, pool, SubjectKind::kInstance, instance};
}

std::string ipv4_to_string(std::uint32_t address) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    text += std::to_string(address >> shift & 255);
    if (shift != 0) text += '.';
  }
  return text;
}

std::string to_string(const Subnet& subnet) {
  return ipv4_to_string(subnet.base) + '/' + std::to_string(subnet.prefix);
}

}  // namespace mvm
