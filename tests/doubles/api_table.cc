#include "tests/doubles/api_table.h"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace mvm::doubles {
namespace {

FieldRule field(std::string name, Type type, Need need) {
  FieldRule rule;
  rule.name = std::move(name);
  rule.type = type;
  rule.need = need;
  return rule;
}
FieldRule text(std::string name, Need need = Need::kOptional) { return field(std::move(name), Type::kText, need); }
FieldRule flag(std::string name, Need need = Need::kOptional) { return field(std::move(name), Type::kFlag, need); }
FieldRule number(std::string name, Need need = Need::kOptional, std::optional<long long> least = {}, std::optional<long long> most = {}) {
  FieldRule rule = field(std::move(name), Type::kNumber, need);
  rule.least = least;
  rule.most = most;
  return rule;
}
FieldRule words(std::string name, std::vector<std::string> all, Need need = Need::kOptional) {
  FieldRule rule = field(std::move(name), Type::kWord, need);
  rule.words = std::move(all);
  return rule;
}
FieldRule object(std::string name, std::string of, Need need = Need::kOptional) {
  FieldRule rule = field(std::move(name), Type::kObject, need);
  rule.of = std::move(of);
  return rule;
}
FieldRule list(std::string name, std::string of, Need need = Need::kOptional) {
  FieldRule rule = field(std::move(name), Type::kList, need);
  rule.of = std::move(of);
  return rule;
}

std::string type_name(const nlohmann::json& value) {
  if (value.is_string()) return "string \"" + value.get<std::string>() + "\"";
  if (value.is_boolean()) return value.get<bool>() ? "boolean `true`" : "boolean `false`";
  if (value.is_number_float()) return "floating point `" + value.dump() + "`";
  if (value.is_number()) return "integer `" + value.dump() + "`";
  if (value.is_null()) return "null";
  return value.is_array() ? "sequence" : "map";
}

std::string wrong_type(const nlohmann::json& value, const std::string& wanted) {
  return "invalid type: " + type_name(value) + ", expected " + wanted;
}

std::optional<std::string> fault_in_field(const nlohmann::json& value, const FieldRule& rule) {
  switch (rule.type) {
    case Type::kText: return value.is_string() ? std::nullopt : std::optional(wrong_type(value, "a string"));
    case Type::kFlag: return value.is_boolean() ? std::nullopt : std::optional(wrong_type(value, "a boolean"));
    case Type::kWord:
      if (!value.is_string()) return wrong_type(value, "a string");
      if (std::ranges::find(rule.words, value.get<std::string>()) == rule.words.end()) {
        return "unknown variant `" + value.get<std::string>() + "`";
      }
      return std::nullopt;
    case Type::kNumber: {
      if (!value.is_number_unsigned()) return wrong_type(value, "an unsigned integer");
      const auto amount = value.get<unsigned long long>();
      if ((rule.least && amount < static_cast<unsigned long long>(*rule.least)) ||
          (rule.most && amount > static_cast<unsigned long long>(*rule.most))) {
        return "invalid value: integer `" + value.dump() + "` for `" + rule.name + "`";
      }
      return std::nullopt;
    }
    case Type::kObject: return fault_in(value, body_rule(rule.of));
    case Type::kList:
      if (!value.is_array()) return wrong_type(value, "a sequence");
      for (const auto& item : value) {
        if (rule.of == "string") {
          if (!item.is_string()) return wrong_type(item, "a string");
        } else if (auto fault = fault_in(item, body_rule(rule.of))) {
          return fault;
        }
      }
      return std::nullopt;
  }
  return "unreachable";
}

const char* const kTypeNames[] = {"string", "word", "integer", "boolean", "object", "array"};
const char* const kWhenNames[] = {"always", "before start", "after start", "by action"};

}  // namespace

const std::vector<RequestRule>& request_rules() {
  using enum When;
  using enum Doubled;
  static const std::vector<RequestRule> kRules = {
      {"GET", "/", "", kAlways, kYes},
      {"PUT", "/actions", "InstanceActionInfo", kByAction, kYes},
      {"GET", "/balloon", "", kAlways, kYes},
      {"PUT", "/balloon", "Balloon", kBeforeStart, kYes},
      {"PATCH", "/balloon", "BalloonUpdate", kAfterStart, kYes},
      {"GET", "/balloon/statistics", "", kAfterStart, kYes},
      {"PATCH", "/balloon/statistics", "BalloonStatsUpdate", kAfterStart, kYes},
      {"PATCH", "/balloon/hinting/start", "BalloonStartCmd", kAfterStart, kOnlyChecked},
      {"GET", "/balloon/hinting/status", "", kAfterStart, kOnlyChecked},
      {"PATCH", "/balloon/hinting/stop", "", kAfterStart, kOnlyChecked},
      {"PUT", "/boot-source", "BootSource", kBeforeStart, kYes},
      {"PUT", "/cpu-config", "CpuConfig", kBeforeStart, kOnlyChecked},
      {"PUT", "/drives/{id}", "Drive", kBeforeStart, kYes},
      {"PATCH", "/drives/{id}", "PartialDrive", kAfterStart, kYes},
      {"PUT", "/pmem/{id}", "Pmem", kBeforeStart, kOnlyChecked},
      {"PATCH", "/pmem/{id}", "PartialPmem", kAfterStart, kOnlyChecked},
      {"PUT", "/logger", "Logger", kBeforeStart, kOnlyChecked},
      {"GET", "/machine-config", "", kAlways, kYes},
      {"PUT", "/machine-config", "MachineConfiguration", kBeforeStart, kYes},
      {"PATCH", "/machine-config", "MachineConfiguration", kBeforeStart, kYes},
      {"PUT", "/metrics", "Metrics", kBeforeStart, kOnlyChecked},
      {"PUT", "/mmds", "MmdsContentsObject", kAlways, kYes},
      {"PATCH", "/mmds", "MmdsContentsObject", kAlways, kYes},
      {"GET", "/mmds", "", kAlways, kYes},
      {"PUT", "/mmds/config", "MmdsConfig", kBeforeStart, kYes},
      {"PUT", "/entropy", "EntropyDevice", kBeforeStart, kYes},
      {"PUT", "/serial", "SerialDevice", kBeforeStart, kOnlyChecked},
      {"PUT", "/hotplug/memory", "MemoryHotplugConfig", kBeforeStart, kOnlyChecked},
      {"PATCH", "/hotplug/memory", "MemoryHotplugSizeUpdate", kAfterStart, kOnlyChecked},
      {"GET", "/hotplug/memory", "", kAfterStart, kOnlyChecked},
      {"PUT", "/network-interfaces/{id}", "NetworkInterface", kBeforeStart, kYes},
      {"PATCH", "/network-interfaces/{id}", "PartialNetworkInterface", kAfterStart, kYes},
      {"PUT", "/snapshot/create", "SnapshotCreateParams", kAfterStart, kYes},
      {"PUT", "/snapshot/load", "SnapshotLoadParams", kBeforeStart, kYes},
      {"GET", "/version", "", kAlways, kYes},
      {"PATCH", "/vm", "Vm", kAfterStart, kYes},
      {"GET", "/vm/config", "", kAlways, kYes},
      {"PUT", "/vsock", "Vsock", kBeforeStart, kYes},
  };
  return kRules;
}

const std::vector<BodyRule>& body_rules() {
  static const std::vector<BodyRule> kRules = {
      {"ArmRegisterModifier", {text("addr", Need::kRequired), text("bitmap", Need::kRequired)}},
      {"Balloon", {
          number("amount_mib", Need::kRequired), flag("deflate_on_oom", Need::kRequired),
          number("stats_polling_interval_s"), flag("free_page_hinting"), flag("free_page_reporting")}},
      {"BalloonStartCmd", {flag("acknowledge_on_stop")}},
      {"BalloonStatsUpdate", {number("stats_polling_interval_s", Need::kRequired)}},
      {"BalloonUpdate", {number("amount_mib", Need::kRequired)}},
      {"BootSource", {text("boot_args"), text("initrd_path"), text("kernel_image_path", Need::kRequired)}},
      {"CpuConfig", {
          list("kvm_capabilities", "string"), list("cpuid_modifiers", "CpuidLeafModifier"),
          list("msr_modifiers", "MsrModifier"), list("reg_modifiers", "ArmRegisterModifier"),
          list("vcpu_features", "VcpuFeatures")}},
      {"CpuidLeafModifier", {
          text("leaf", Need::kRequired), text("subleaf", Need::kRequired), number("flags", Need::kRequired),
          list("modifiers", "CpuidRegisterModifier", Need::kRequired)}},
      {"CpuidRegisterModifier", {
          words("register", {"eax", "ebx", "ecx", "edx"}, Need::kRequired), text("bitmap", Need::kRequired)}},
      {"Drive", {
          text("drive_id", Need::kRequired), text("partuuid"), flag("is_root_device", Need::kRequired),
          words("cache_type", {"Unsafe", "Writeback"}), flag("is_read_only"), text("path_on_host"),
          object("rate_limiter", "RateLimiter"), words("io_engine", {"Sync", "Async"}), text("socket")}},
      {"EntropyDevice", {object("rate_limiter", "RateLimiter")}},
      {"InstanceActionInfo", {words("action_type", {"FlushMetrics", "InstanceStart", "SendCtrlAltDel"}, Need::kRequired)}},
      {"Logger", {
          words("level", {"Error", "Warning", "Info", "Debug", "Trace", "Off"}), text("log_path"), flag("show_level"),
          flag("show_log_origin"), text("module")}},
      {"MachineConfiguration", {
          words("cpu_template", {"C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None"}), flag("smt"),
          number("mem_size_mib", Need::kRequired), flag("track_dirty_pages"), number("vcpu_count", Need::kRequired, 1, 32),
          words("huge_pages", {"None", "2M"})}},
      {"MemoryBackend", {words("backend_type", {"File", "Uffd"}, Need::kRequired), text("backend_path", Need::kRequired)}},
      {"MemoryHotplugConfig", {
          number("total_size_mib"), number("slot_size_mib", Need::kOptional, 128),
          number("block_size_mib", Need::kOptional, 2)}},
      {"MemoryHotplugSizeUpdate", {number("requested_size_mib")}},
      {"Metrics", {text("metrics_path", Need::kRequired)}},
      {"MmdsConfig", {
          words("version", {"V1", "V2"}), list("network_interfaces", "string", Need::kRequired), text("ipv4_address"),
          flag("imds_compat")}},
      {"MmdsContentsObject", {}},
      {"MsrModifier", {text("addr", Need::kRequired), text("bitmap", Need::kRequired)}},
      {"NetworkInterface", {
          text("guest_mac"), text("host_dev_name", Need::kRequired), text("iface_id", Need::kRequired),
          number("mtu", Need::kOptional, 68, 65535), object("rx_rate_limiter", "RateLimiter"),
          object("tx_rate_limiter", "RateLimiter")}},
      {"NetworkOverride", {text("iface_id", Need::kRequired), text("host_dev_name", Need::kRequired)}},
      {"PartialDrive", {text("drive_id", Need::kRequired), text("path_on_host"), object("rate_limiter", "RateLimiter")}},
      {"PartialNetworkInterface", {
          text("iface_id", Need::kRequired), object("rx_rate_limiter", "RateLimiter"),
          object("tx_rate_limiter", "RateLimiter")}},
      {"PartialPmem", {text("id", Need::kRequired), object("rate_limiter", "RateLimiter")}},
      {"Pmem", {
          text("id", Need::kRequired), text("path_on_host", Need::kRequired), flag("root_device"), flag("read_only"),
          object("rate_limiter", "RateLimiter")}},
      {"RateLimiter", {object("bandwidth", "TokenBucket"), object("ops", "TokenBucket")}},
      {"SerialDevice", {text("serial_out_path"), object("rate_limiter", "TokenBucket")}},
      {"SnapshotCreateParams", {
          text("mem_file_path", Need::kRequired), text("snapshot_path", Need::kRequired),
          words("snapshot_type", {"Full", "Diff"})}},
      {"SnapshotLoadParams", {
          flag("enable_diff_snapshots"), flag("track_dirty_pages"), text("mem_file_path"),
          object("mem_backend", "MemoryBackend"), text("snapshot_path", Need::kRequired), flag("resume_vm"),
          list("network_overrides", "NetworkOverride"), object("vsock_override", "VsockOverride"), flag("clock_realtime")}},
      {"TokenBucket", {
          number("one_time_burst", Need::kOptional, 0), number("refill_time", Need::kRequired, 0),
          number("size", Need::kRequired, 0)}},
      {"VcpuFeatures", {number("index", Need::kRequired), text("bitmap", Need::kRequired)}},
      {"Vm", {words("state", {"Paused", "Resumed"}, Need::kRequired)}},
      {"Vsock", {number("guest_cid", Need::kRequired, 3), text("uds_path", Need::kRequired), text("vsock_id")}},
      {"VsockOverride", {text("uds_path", Need::kRequired)}},  };
  return kRules;
}

const BodyRule& body_rule(std::string_view name) {
  const auto found = std::ranges::find(body_rules(), name, &BodyRule::name);
  if (found == body_rules().end()) throw std::logic_error("no such body: " + std::string(name));
  return *found;
}

nlohmann::json table_as_json() {
  nlohmann::json table;
  for (const RequestRule& rule : request_rules()) {
    table["requests"].push_back({{"method", rule.method},
                                 {"path", rule.path},
                                 {"body", rule.body},
                                 {"when", kWhenNames[static_cast<int>(rule.when)]},
                                 {"doubled", rule.doubled == Doubled::kYes}});
  }
  for (const BodyRule& body : body_rules()) {
    auto& fields = table["bodies"][body.name] = nlohmann::json::object();
    for (const FieldRule& field : body.fields) {
      auto& entry = fields[field.name];
      entry = {{"type", kTypeNames[static_cast<int>(field.type)]}, {"required", field.need == Need::kRequired}};
      if (field.least) entry["minimum"] = *field.least;
      if (field.most) entry["maximum"] = *field.most;
      if (!field.words.empty()) entry["words"] = field.words;
      if (!field.of.empty()) entry["of"] = field.of;
    }
  }
  return table;
}

std::optional<std::string> fault_in(const nlohmann::json& body, const BodyRule& rule, Form form) {
  if (!body.is_object()) return wrong_type(body, "struct " + rule.name);
  if (rule.name == "MmdsContentsObject") return std::nullopt;  // additionalProperties: true
  for (const auto& [name, value] : body.items()) {
    const auto field = std::ranges::find(rule.fields, name, &FieldRule::name);
    if (field == rule.fields.end()) return "unknown field `" + name + "`";
    // serde's Option takes null for a field that may be missing.
    if (value.is_null() && (field->need == Need::kOptional || form == Form::kPatch)) continue;
    if (auto fault = fault_in_field(value, *field)) return fault;
  }
  for (const FieldRule& field : rule.fields) {
    if (form == Form::kWhole && field.need == Need::kRequired && !body.contains(field.name)) return "missing field `" + field.name + "`";
  }
  return std::nullopt;
}

nlohmann::json parse_json(const std::string& text) {
  std::vector<std::set<std::string>> open;
  const auto no_key_twice = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::object_start) open.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) open.pop_back();
    if (event == nlohmann::json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second) {
      throw std::runtime_error("duplicate field `" + value.get<std::string>() + "`");
    }
    return true;
  };
  return nlohmann::json::parse(text, no_key_twice);
}

}  // namespace mvm::doubles
