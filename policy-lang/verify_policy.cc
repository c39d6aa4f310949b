// V4, what the node's owner allows, and a policy by itself.
#include <algorithm>

#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

bool lists(const Document& policy, Word word) {
  return std::ranges::find(policy.statements, word, &Statement::word) != policy.statements.end();
}

std::unexpected<Refusal> beyond(std::string_view what, std::uint64_t sum, std::uint64_t limit) {
  return refuse(Rule::kPolicy, say("the node would have ", sum, " ", what, "; the policy's limit is ", limit),
                say("remove ", sum - limit, " ", what, " first, or raise limits in the policy"));
}

Checked<void> within(std::string_view what, std::uint64_t sum, std::uint64_t limit) {
  return sum <= limit ? Checked<void>{} : beyond(what, sum, limit);
}

Checked<void> keeps_the_limits(const StateIndex& index, const NodePolicy& policy) {
  const Totals& sum = index.totals();
  if (auto ok = within("tenants", index.tenants(), policy.tenants); !ok) return ok;
  if (auto ok = within("instances", sum.instances, policy.instances); !ok) return ok;
  if (auto ok = within("vcpus", sum.vcpus, policy.vcpus); !ok) return ok;
  if (auto ok = within("MiB of memory", sum.mem, policy.mem); !ok) return ok;
  return within("MiB of disk", sum.disk, policy.disk);
}

// `most` is 0 where the policy sets no bound.
Checked<void> bounds_the_rate(std::string_view name, std::uint64_t rate, std::uint64_t most) {
  if (most == 0 || (rate != 0 && rate <= most)) return {};
  return refuse(Rule::kPolicy, say(name, "=", rate, rate == 0 ? ", no limit," : "", " is above the policy's ", most), say("write ", name, "=", most));
}

Checked<void> bounds_the_cgroup(const Statement& statement, const NodePolicy& policy) {
  const CgroupView cgroup = cgroup_view(statement);
  if (cgroup.pids > policy.pids) {
    return refuse(Rule::kPolicy, say("pids=", cgroup.pids, " is above the policy's ", policy.pids), say("write pids=", policy.pids));
  }
  return bounds_the_rate("io", cgroup.io_mib_per_s, policy.io);
}

Checked<void> bounds_the_tap(const Statement& statement, const NodePolicy& policy) {
  const TapView tap = tap_view(statement);
  if (auto ok = bounds_the_rate("pps", tap.pps, policy.pps); !ok) return ok;
  return bounds_the_rate("mbps", tap.mbps, policy.mbps);
}

// What a jail is made in and on may have been made under an earlier policy.
Checked<void> still_bounds(const Lines& lines, Word word, const NodePolicy& policy) {
  const Statement& line = *lines.find(word);
  auto bounds = word == Word::kCgroup ? bounds_the_cgroup(line, policy) : bounds_the_tap(line, policy);
  if (bounds) return bounds;
  const std::string_view name = row(word).name;
  return refuse(Rule::kPolicy, say("its ", name, " is not what the policy allows now: ", bounds.error().why), say("remove the ", name, " and make it again first"));
}

Checked<void> runs_a_listed_image(const Statement& jail, const NodePolicy& policy) {
  if (!policy.lists_images) return {};
  Statement image{.word = Word::kImage};
  image.numbers[0] = 1;
  image.digests[0] = jail_view(jail).image;
  if (std::ranges::binary_search(policy.text.statements, image, canonical_less)) return {};
  return refuse(Rule::kPolicy, "the policy does not list the image", say("add image digest=", to_string(image.digests[0]), " to the policy, or use an image that it lists"));
}

Checked<void> encrypts(std::string_view what, std::uint64_t key_version, bool wanted) {
  if (!wanted || key_version != 0) return {};
  return refuse(Rule::kPolicy, say("the policy wants ", what, " encrypted, and it has no key"), "name a key of the tenant");
}

}  // namespace

NodePolicy read_policy(const Document& policy) {
  NodePolicy read{.text = policy};
  for (const Statement& line : policy.statements) {
    if (line.word == Word::kCidr) read.cidr = Subnet::unpack(line.number("subnet"));
    if (line.word == Word::kUids) read.first_uid = line.number("first"), read.uids = line.number("count");
    if (line.word == Word::kLimits) {
      read.tenants = line.number("tenants"), read.instances = line.number("instances");
      read.vcpus = line.number("vcpus"), read.mem = line.number("mem"), read.disk = line.number("disk");
    }
    if (line.word == Word::kPerInstance) {
      read.pids = line.number("pids"), read.io = line.number("io");
      read.pps = line.number("pps"), read.mbps = line.number("mbps");
    }
    if (line.word == Word::kEncrypt) {
      read.encrypt_data = line.number("data") == kYes, read.encrypt_snapshots = line.number("snapshots") == kYes;
    }
  }
  read.lists_images = lists(policy, Word::kImage), read.lists_egress = lists(policy, Word::kEgress);
  return read;
}

Checked<void> verify_policy(const Document& policy) {
  for (const Word word : {Word::kCidr, Word::kUids, Word::kLimits, Word::kPerInstance, Word::kEncrypt, Word::kCoordinator}) {
    if (lists(policy, word)) continue;
    return refuse(Rule::kForm, say("the policy has no ", row(word).name, " line"), say("add a ", row(word).name, " line (mvm primitives shows its fields)"));
  }
  for (const Word word : {Word::kEgress, Word::kClosed}) {
    const auto lines = static_cast<std::uint64_t>(std::ranges::count(policy.statements, word, &Statement::word));
    if (lines <= kMaxPolicySubnets) continue;
    return refuse(Rule::kForm, say("the policy has ", lines, " ", row(word).name, " lines; the limit is ", kMaxPolicySubnets), "name wider subnets");
  }
  const auto devices = static_cast<std::uint64_t>(std::ranges::count(policy.statements, Word::kDevice, &Statement::word));
  if (devices > kMaxPolicyDevices) {
    return refuse(Rule::kForm, say("the policy has ", devices, " device lines; the limit is ", kMaxPolicyDevices), "name fewer devices");
  }
  return {};
}

Checked<void> verify_limits(const Step& step, const StateIndex& index, const NodePolicy& policy, const Devices& devices) {
  const Statement& made = step.statement;
  const bool resumes = made.sign == Sign::kMove && made.word == Word::kJail && made.numbers[1] == kRunning;
  if (made.sign != Sign::kAdd && !resumes) return {};
  if (auto kept = keeps_the_limits(index, policy); !kept || resumes) return kept;
  switch (made.word) {
    case Word::kCgroup: return bounds_the_cgroup(made, policy);
    case Word::kTap: return bounds_the_tap(made, policy);
    case Word::kJail:
      for (const Word word : {Word::kCgroup, Word::kTap})
        if (auto bounds = still_bounds(step.site.lines(), word, policy); !bounds) return bounds;
      return runs_a_listed_image(made, policy);
    case Word::kVolume:
      if (auto encrypted = encrypts("volumes", volume_view(made).key_version, policy.encrypt_data); !encrypted) return encrypted;
      return devices.hold(volume_view(made).mib);
    case Word::kSnapshot: return encrypts("snapshots", snapshot_view(made).key_version, policy.encrypt_snapshots);
    case Word::kRule:
      if (rule_view(made).egress != kEgressListed || policy.lists_egress) return {};
      return refuse(Rule::kPolicy, "the policy lists no egress", "add egress lines to the policy, or use another egress");
    default: return {};
  }
}

}  // namespace mvm::lang
