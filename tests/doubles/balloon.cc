// The balloon of the doubled microVM: requests as v1.16.1 takes them (src/vmm/src/devices/virtio/balloon), and what the driver in its guest does, one step
// each time that it is looked at.
#include "tests/doubles/vmm.h"

namespace mvm::doubles {
namespace {

constexpr std::uint64_t kPagesOfMib = (1 << 20) / kPage;
constexpr std::uint64_t kStepMib = 8;
constexpr std::uint64_t kStopsAtMib = 4;

Reply serdes(const nlohmann::json& number, const char* type) {
  return fault("An error occurred when deserializing the json body of a request: invalid value: integer `" + number.dump() + "`, expected " + type + ".");
}

}  // namespace

Reply Vmm::set_balloon(const nlohmann::json& body) {
  if (body["amount_mib"].get<std::uint64_t>() > UINT32_MAX) return serdes(body["amount_mib"], "u32");
  if (body.value("stats_polling_interval_s", std::uint64_t{0}) > UINT16_MAX) return serdes(body["stats_polling_interval_s"], "u16");
  if (body["amount_mib"] > machine_["mem_size_mib"]) return fault("Balloon config error: Amount of pages requested is too large.");
  config_["balloon"] = {{"amount_mib", body["amount_mib"]},
                        {"deflate_on_oom", body["deflate_on_oom"]},
                        {"stats_polling_interval_s", body.value("stats_polling_interval_s", 0)},
                        {"free_page_hinting", body.value("free_page_hinting", false)},
                        {"free_page_reporting", body.value("free_page_reporting", false)}};
  return {};
}

Reply Vmm::tell_balloon(const std::string& what, const nlohmann::json& body) {
  const std::string wrong = what.starts_with("PATCH") ? "Balloon update error: " : "Internal VMM error: ";
  if (!config_.contains("balloon")) return fault(life_ == Life::kNotStarted ? "Balloon config error: No balloon device found." : wrong + "Failed perform action on device: Device not found");
  nlohmann::json& balloon = config_["balloon"];
  if (what == "GET /balloon") return {200, balloon.dump()};
  if (what == "PATCH /balloon") return resize_balloon(body);
  if (what == "PATCH /balloon/statistics") {
    const auto& interval = body["stats_polling_interval_s"];
    if (interval.get<std::uint64_t>() > UINT16_MAX) return serdes(interval, "u16");
    if ((interval == 0) != (balloon["stats_polling_interval_s"] == 0)) return fault(wrong + "Balloon: Statistics cannot be enabled/disabled after activation.");
    balloon["stats_polling_interval_s"] = interval;
    return {};
  }
  if (balloon["stats_polling_interval_s"] == 0) return fault(wrong + "Balloon: Received stats query when stats are disabled.");
  move_balloon();
  return {200, balloon_statistics().dump()};
}

Reply Vmm::resize_balloon(const nlohmann::json& body) {
  const std::uint64_t amount = body["amount_mib"];
  if (amount > UINT32_MAX) return serdes(body["amount_mib"], "u32");
  if (mischief_ == "balloon-absent") return fault("Balloon update error: Balloon: Device not activated yet.");
  if (amount > machine_["mem_size_mib"]) return fault("Balloon update error: Balloon: Requested memory should be less than " + std::to_string(amount) + "MiB");
  config_["balloon"]["amount_mib"] = amount;
  if (amount == 0) move_balloon();
  return {};
}

// A paused guest does nothing.
void Vmm::move_balloon() {
  if (!config_.contains("balloon") || life_ != Life::kRunning || mischief_ == "balloon-absent") return;
  const std::uint64_t wanted = config_["balloon"]["amount_mib"].get<std::uint64_t>() * kPagesOfMib;
  const std::uint64_t most = mischief_ == "balloon-stops" ? std::min(wanted, kStopsAtMib * kPagesOfMib) : wanted;
  if (wanted == 0) memory_->take_back();
  else if (memory_->given() < most) memory_->give(std::min(most - memory_->given(), kStepMib * kPagesOfMib));
}

nlohmann::ordered_json Vmm::balloon_statistics() const {
  const std::uint64_t target = config_["balloon"]["amount_mib"], given = memory_->given();
  nlohmann::ordered_json said = {{"target_pages", target * kPagesOfMib}, {"actual_pages", given}, {"target_mib", target}, {"actual_mib", given / kPagesOfMib}};
  if (mischief_ == "balloon-absent") return said;
  const std::uint64_t all = machine_["mem_size_mib"].get<std::uint64_t>() << 20, spare = (memory_->spare() - given) * kPage;
  said.update({{"swap_in", 0}, {"swap_out", 0}, {"free_memory", spare}, {"total_memory", all}, {"available_memory", mischief_ == "balloon-lies" ? UINT64_MAX : spare}});
  return said;
}

std::string Vmm::balloon_command() const {
  if (!config_.contains("balloon")) return "none";
  return "asked=" + config_["balloon"]["amount_mib"].dump() + " given=" + std::to_string(memory_->given() / kPagesOfMib);
}

}  // namespace mvm::doubles
