#include <gtest/gtest.h>

#include <set>

#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang {
namespace {

using test::at_bound;
using test::Bound;

constexpr std::array kSigns = {Sign::kNone, Sign::kAdd, Sign::kRemove, Sign::kMove};

bool may_stand(const Row& row, Kind kind, Sign sign) {
  if (!row.in[static_cast<std::size_t>(kind)]) return false;
  return kind == Kind::kPlan ? has_sign(row.signs, sign) : sign == Sign::kNone;
}

Document document_of(Kind kind, const Statement& statement) {
  Document document;
  document.kind = kind;
  if (kind == Kind::kManifest) document.header.flake = *FlakeRef::from("f");
  else document.header.node = *Name::from("n");
  document.statements = {statement};
  if (kind != Kind::kPolicy && kind != Kind::kManifest) document.header.generation = 1;
  document.header.has_desired = kind == Kind::kPlan;
  return document;
}

TEST(Table, TakesEveryStatementAtItsBounds) {
  for (const Row& row : table()) {
    for (const Kind kind : kKinds) {
      for (const Sign sign : kSigns) {
        if (!may_stand(row, kind, sign)) continue;
        for (const Bound bound : {Bound::kMin, Bound::kMax}) {
          const Document document = document_of(kind, at_bound(row.word, sign, bound));
          const std::string text = print(document);
          const auto parsed = parse(kind, text);
          ASSERT_TRUE(parsed) << parsed.error().message() << "\n" << text;
          EXPECT_EQ(*parsed, document) << text;
          EXPECT_EQ(print(*parsed), text);
        }
      }
    }
  }
}

TEST(Table, RefusesEveryNumberOneBeyondItsBounds) {
  for (const Row& row : table()) {
    for (const Kind kind : kKinds) {
      const Sign sign = kind == Kind::kPlan ? Sign::kAdd : Sign::kNone;
      if (!may_stand(row, kind, sign)) continue;
      for (std::size_t i = 0; i < row.fields.size(); ++i) {
        const Field& field = row.fields[i];
        if (field.kind != FieldKind::kNumber) continue;
        Statement above = at_bound(row.word, sign, Bound::kMax);
        above.numbers[i] = field.max + 1;
        EXPECT_FALSE(parse(kind, print(document_of(kind, above)))) << row.name << " " << field.name;
        if (field.min == 0) continue;
        Statement under = at_bound(row.word, sign, Bound::kMax);
        under.numbers[i] = field.min - 1;
        EXPECT_FALSE(parse(kind, print(document_of(kind, under)))) << row.name << " " << field.name;
      }
    }
  }
}

TEST(Table, SaysHowLongTheLongestLineIs) {
  std::size_t longest = 0;
  for (const Row& row : table()) {
    for (const Sign sign : kSigns) {
      if (sign != Sign::kNone && !has_sign(row.signs, sign)) continue;
      const std::size_t length = print(at_bound(row.word, sign, Bound::kMax)).size();
      EXPECT_LE(length, kMaxLineBytes) << row.name;
      longest = std::max(longest, length);
    }
  }
  EXPECT_EQ(longest, kMaxLineBytes);
}

TEST(Table, GivesEachViewATypeThatHoldsItsField) {
  const auto max = [](Word word) { return at_bound(word, Sign::kNone, Bound::kMax); };
  const auto at = [&](Word word, std::string_view field) { return row(word).fields[field_index(word, field)].max; };
  const Subnet last{0xfffffffc, 30};
  const auto bridge = bridge_view(max(Word::kBridge));
  EXPECT_EQ(bridge.net, at(Word::kBridge, "net"));
  EXPECT_EQ(bridge.subnet, last);
  const auto rule = rule_view(max(Word::kRule));
  EXPECT_EQ(rule.egress, kEgressListed);
  EXPECT_EQ(rule.pps, at(Word::kRule, "pps"));
  EXPECT_EQ(rule.mbps, at(Word::kRule, "mbps"));
  EXPECT_EQ(rule.cps, at(Word::kRule, "cps"));
  const auto cgroup = cgroup_view(max(Word::kCgroup));
  EXPECT_EQ(cgroup.cpu_percent, at(Word::kCgroup, "cpu"));
  EXPECT_EQ(cgroup.mem_mib, at(Word::kCgroup, "mem"));
  EXPECT_EQ(cgroup.pids, at(Word::kCgroup, "pids"));
  EXPECT_EQ(cgroup.io_mib_per_s, at(Word::kCgroup, "io"));
  const auto volume = volume_view(max(Word::kVolume));
  EXPECT_EQ(volume.mib, at(Word::kVolume, "mib"));
  EXPECT_EQ(volume.key_version, at(Word::kVolume, "key"));
  EXPECT_EQ(volume.key_tenant.size(), kMaxName);
  const auto kernel = kernel_view(max(Word::kKernel));
  EXPECT_EQ(kernel.digest.bytes[0], 0xff);
  EXPECT_EQ(kernel.bytes, at(Word::kKernel, "bytes"));
  const auto rootfs = rootfs_view(max(Word::kRootfs));
  EXPECT_EQ(rootfs.root.bytes[0], 0xff);
  EXPECT_EQ(rootfs.blocks, at(Word::kRootfs, "blocks"));
  EXPECT_EQ(tap_view(max(Word::kTap)).slot, at(Word::kTap, "slot"));
}

TEST(Table, GivesTheViewsOfJailAndSnapshotTypesThatHoldTheirFields) {
  const auto max = [](Word word) { return at_bound(word, Sign::kNone, Bound::kMax); };
  const auto at = [&](Word word, std::string_view field) { return row(word).fields[field_index(word, field)].max; };
  Statement jail_line = max(Word::kJail);
  jail_line.digests[1].bytes[0] = 1;
  const auto jail = jail_view(jail_line);
  EXPECT_EQ(jail.image, jail_line.digests[0]);
  EXPECT_EQ(jail.boot_digest, jail_line.digests[1]);
  EXPECT_EQ(jail.vcpus, at(Word::kJail, "vcpus"));
  EXPECT_EQ(jail.mem_mib, at(Word::kJail, "mem"));
  EXPECT_EQ(jail.boot, kBootSnapshot);
  EXPECT_EQ(jail.state, kWarm);
  EXPECT_EQ(jail.guest, kParked);
  const auto snapshot = snapshot_view(max(Word::kSnapshot));
  EXPECT_EQ(snapshot.kind, kDiff);
  EXPECT_TRUE(snapshot.has_base);
  EXPECT_EQ(snapshot.base.bytes[31], 0xff);
  EXPECT_EQ(snapshot.key_version, at(Word::kSnapshot, "key"));
  EXPECT_EQ(snapshot.key_tenant.size(), kMaxName);
  EXPECT_EQ(snapshot.compression, at(Word::kSnapshot, "compression"));
  EXPECT_EQ(snapshot.slot, at(Word::kSnapshot, "slot"));
  EXPECT_EQ(snapshot.seq, at(Word::kSnapshot, "seq"));
}

TEST(Table, GivesTheViewOfABaseTypesThatHoldItsFields) {
  Statement line = at_bound(Word::kBase, Sign::kNone, Bound::kMax);
  line.digests[1].bytes[0] = 1;
  const auto base = base_view(line);
  EXPECT_EQ(base.snapshot, line.digests[0]);
  EXPECT_EQ(base.image, line.digests[1]);
  EXPECT_EQ(base.mem_mib, row(Word::kBase).fields[field_index(Word::kBase, "mem")].max);
  EXPECT_EQ(base.key_version, row(Word::kBase).fields[field_index(Word::kBase, "key")].max);
  EXPECT_EQ(base.key_tenant.size(), kMaxName);
}

TEST(Table, GivesTheViewsOfAProjectionTypesThatHoldTheirFields) {
  const auto max = [](Word word) { return at_bound(word, Sign::kNone, Bound::kMax); };
  const auto at = [&](Word word, std::string_view field) { return row(word).fields[field_index(word, field)].max; };
  const auto tenant = tenant_view(max(Word::kTenant));
  EXPECT_EQ(tenant.net, at(Word::kTenant, "net"));
  EXPECT_EQ(tenant.vcpus, at(Word::kTenant, "vcpus"));
  EXPECT_EQ(tenant.mem, at(Word::kTenant, "mem"));
  EXPECT_EQ(tenant.running, at(Word::kTenant, "running"));
  EXPECT_EQ(tenant.warm, at(Word::kTenant, "warm"));
  EXPECT_EQ(tenant.pools, at(Word::kTenant, "pools"));
  EXPECT_EQ(tenant.instances, at(Word::kTenant, "instances"));
  EXPECT_EQ(tenant.disk, at(Word::kTenant, "disk"));
  EXPECT_TRUE(tenant.has_secrets);
  EXPECT_EQ(tenant.secrets.bytes[0], 0xff);
  Statement pool_line = max(Word::kPool);
  pool_line.digests[1].bytes[0] = 1;
  const auto pool = pool_view(pool_line);
  EXPECT_EQ(pool.image, pool_line.digests[0]);
  EXPECT_EQ(pool.config, pool_line.digests[1]);
  EXPECT_EQ(pool.vcpus, at(Word::kPool, "vcpus"));
  EXPECT_EQ(pool.mem, at(Word::kPool, "mem"));
  EXPECT_EQ(pool.data, at(Word::kPool, "data"));
  EXPECT_EQ(pool.running, at(Word::kPool, "running"));
  EXPECT_EQ(pool.warm, at(Word::kPool, "warm"));
  EXPECT_EQ(pool.sleeping, at(Word::kPool, "sleeping"));
  EXPECT_TRUE(pool.pinned && pool.critical && pool.has_config);
  EXPECT_EQ(pool.compression, at(Word::kPool, "compression"));
}

TEST(Table, FindsEveryRowByItsNameAndNothingElse) {
  for (const Row& row : table()) {
    EXPECT_EQ(find_row(row.name), &row);
    EXPECT_EQ(find_row(row.name.substr(0, row.name.size() - 1)), nullptr) << row.name;
    EXPECT_EQ(find_row(std::string(row.name) + "s"), nullptr) << row.name;
  }
  EXPECT_EQ(find_row(""), nullptr);
  EXPECT_EQ(find_row("end"), nullptr);
  EXPECT_EQ(find_row("Jail"), nullptr);
}

TEST(Table, GivesEveryPrimitiveAWorkerAndAnInverseAndWhatItCosts) {
  for (const Row& row : table()) {
    if (row.word < kFirstPrimitive) {
      EXPECT_EQ(row.signs, kNoSign) << row.name;
      continue;
    }
    EXPECT_NE(row.worker, Worker::kNone) << row.name;
    EXPECT_FALSE(row.makes.empty() || row.unmakes.empty() || row.costs.empty()) << row.name;
    const bool both = has_sign(row.signs, Sign::kAdd) == has_sign(row.signs, Sign::kRemove);
    EXPECT_TRUE(both) << row.name << " can be made or removed, but not both";
  }
}

TEST(Table, NeedsNothingThatIsMadeLater) {
  for (const Row& row : table()) {
    for (const Row& other : table()) {
      if (((row.needs | row.uses) & bit(other.word)) == 0) continue;
      EXPECT_LT(other.word, row.word) << row.name << " stands on " << other.name;
    }
  }
}

}  // namespace
}  // namespace mvm::lang
