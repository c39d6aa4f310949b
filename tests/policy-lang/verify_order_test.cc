// V2: a test for each clause of docs/language.md.
#include "world.h"

namespace mvm::lang::build {
namespace {

TEST_F(Verify, AcceptsABootFromNothing) {
  state = {};
  EXPECT_EQ(verdict(plus(kNetwork + running(kFirst))), "accepted");
}

TEST_F(Verify, AcceptsAStopAndEverythingElseButTheVolumeGoing) {
  state = kNetwork + running(kFirst);
  Texts all = stand(kFirst);
  all.erase(all.begin() + 1);
  EXPECT_EQ(verdict(minus(kNetwork + all + Texts{jail(kFirst)})), "accepted");
}

TEST_F(Verify, AcceptsASleepAndAWake) {
  state = kNetwork + running(kFirst);
  Texts rest = stand(kFirst);
  rest.erase(rest.begin() + 1);
  EXPECT_EQ(verdict(Texts{"~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm", "+ " + snapshot(kFirst)} +
                    minus(rest + Texts{jail(kFirst, "warm", "parked")})),
            "accepted");
  state = kNetwork + sleeping(kFirst);
  EXPECT_EQ(verdict(plus(rest + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst)))}) +
                    Texts{"- " + snapshot(kFirst), "~ guest " + kFirst + " parked>awake"}),
            "accepted");
}

TEST_F(Verify, AnEmptyPlanIsAccepted) { EXPECT_EQ(verdict(Texts{}), "accepted"); }

TEST_F(Verify, RefusesToMakeWhatExists) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"+ tap " + kFirst + " slot=4 pps=0 mbps=0"}), refused("V2", 6, "it exists: tap " + kFirst + " slot=3 pps=0 mbps=0"));
  EXPECT_THAT(verdict({"+ " + kBridge}), refused("V2", 6, "it exists"));
}

TEST_F(Verify, RefusesToMakeTheSameThingTwiceInOnePlan) {
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0], "+ " + stand(kFirst)[0]}), refused("V2", 7, "it exists"));
}

TEST_F(Verify, RefusesToMakeWhatLacksAnythingThatItNeeds) {
  const Texts all = stand(kFirst);
  EXPECT_THAT(verdict({"+ " + all[2]}), refused("V2", 6, "needs a cgroup"));
  EXPECT_THAT(verdict({"+ " + all[0], "+ " + all[2]}), refused("V2", 7, "needs a volume"));
  EXPECT_THAT(verdict({"+ " + all[3]}), refused("V2", 6, "needs a cgroup"));
  EXPECT_THAT(verdict({"+ " + all[4]}), refused("V2", 6, "needs a cgroup"));
  EXPECT_THAT(verdict({"+ " + all[5]}), refused("V2", 6, "needs a cgroup"));
  EXPECT_THAT(verdict({"+ " + all[0], "+ " + jail(kFirst)}), refused("V2", 7, "needs a tap"));
  state = {};
  EXPECT_THAT(verdict({"+ " + kRule}), refused("V2", 6, "needs a bridge"));
  EXPECT_THAT(verdict({"+ " + all[0], "+ " + all[5]}), refused("V2", 7, "needs a bridge"));
}

TEST_F(Verify, AnotherTenantsBridgeIsNoBridge) {
  EXPECT_THAT(verdict({"+ cgroup " + kOfBeta + " cpu=100 mem=640 pids=64 io=10", "+ tap " + kOfBeta + " slot=3 pps=0 mbps=0"}), refused("V2", 7, "needs a bridge"));
}

TEST_F(Verify, AnotherInstancesCgroupIsNoCgroup) {
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0], "+ tap " + kSecond + " slot=3 pps=0 mbps=0"}), refused("V2", 7, "needs a cgroup"));
}

TEST_F(Verify, RefusesADriveBehindTheBackOfAJail) {
  for (const std::size_t drive : {1, 2, 3, 4}) {
    Texts standing = running(kFirst);
    const std::string made = standing[drive];
    standing.erase(standing.begin() + static_cast<std::ptrdiff_t>(drive));
    if (drive == 1) standing.erase(standing.begin() + 1);  // luksOpen goes with its volume
    state = kNetwork + standing;
    EXPECT_THAT(verdict({"+ " + made}), refused("V2", 6, "the jail that would use it exists already")) << made;
  }
}

TEST_F(Verify, RefusesAVolumeBehindTheBackOfASnapshot) {
  state = kNetwork + Texts{snapshot(kFirst)};
  EXPECT_THAT(verdict({"+ " + volume(kFirst)}), refused("V2", 6, "the snapshot that would use it"));
}

TEST_F(Verify, RefusesToRemoveWhatDoesNotExist) {
  EXPECT_THAT(verdict({"- tap " + kFirst + " slot=3 pps=0 mbps=0"}), refused("V2", 6, "there is no tap"));
  EXPECT_THAT(verdict({"- bridge beta net=4 subnet=10.240.4.0/24"}), refused("V2", 6, "there is no bridge"));
}

TEST_F(Verify, RefusesARemovalThatIsNotEqualInEveryField) {
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"- tap " + kFirst + " slot=4 pps=0 mbps=0"}), refused("V2", 6, "it is not what exists, which is: tap " + kFirst + " slot=3 pps=0 mbps=0"));
  EXPECT_THAT(verdict({"- rule acme egress=nat pps=0 mbps=100 cps=1"}), refused("V2", 6, "not what exists"));
  EXPECT_THAT(verdict({"- secrets " + kFirst + " digest=d9"}), refused("V2", 6, "not what exists"));
}

TEST_F(Verify, ARemovedJailIsWrittenAsItWasMoved) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>warm", "- " + jail(kFirst)}), refused("V2", 7, "state=warm guest=awake"));
  EXPECT_EQ(verdict({"~ jail " + kFirst + " running>warm", "- " + jail(kFirst, "warm", "awake")}), "accepted");
}

TEST_F(Verify, RefusesToRemoveWhatSomethingStandsOn) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"- " + kBridge}), refused("V2", 6, "stands on it"));
  for (const std::string& line : stand(kFirst)) EXPECT_THAT(verdict({"- " + line}), refused("V2", 6, "stands on it")) << line;
}

TEST_F(Verify, ABridgeStaysWhileAnyInstanceOfItsTenantHasATap) {
  state = Texts{kBridge} + stand(kFirst);
  EXPECT_THAT(verdict({"- " + kBridge}), refused("V2", 6, "a tap stands on it"));
  EXPECT_EQ(verdict({"- " + stand(kFirst)[5], "- " + kBridge}), "accepted");
}

TEST_F(Verify, AVolumeStaysWhileItsSnapshotDoes) {
  state = kNetwork + sleeping(kFirst);
  EXPECT_THAT(verdict({"- " + volume(kFirst)}), refused("V2", 6, "a snapshot stands on it"));
}

TEST_F(Verify, RefusesAMoveOfNoJail) {
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>warm"}), refused("V2", 6, "no jail to move"));
  EXPECT_THAT(verdict({"~ guest " + kFirst + " awake>parked"}), refused("V2", 6, "no jail to move"));
}

TEST_F(Verify, RefusesAMoveFromAStateThatItIsNotIn) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"~ jail " + kFirst + " warm>running"}), refused("V2", 6, "it is running"));
  EXPECT_THAT(verdict({"~ guest " + kFirst + " parked>awake"}), refused("V2", 6, "it is awake"));
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>warm", "~ jail " + kFirst + " running>warm"}), refused("V2", 7, "it is warm"));
}

TEST_F(Verify, RefusesAMoveToWhereItIs) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>running"}), refused("V2", 6, "moves to where it is"));
  EXPECT_THAT(verdict({"~ guest " + kFirst + " awake>awake"}), refused("V2", 6, "moves to where it is"));
}

TEST_F(Verify, AWarmGuestCannotBeTold) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"~ guest " + kFirst + " parked>awake"}), refused("V2", 6, "hears nothing"));
  EXPECT_EQ(verdict({"~ jail " + kFirst + " warm>running", "~ guest " + kFirst + " parked>awake"}), "accepted");
}

TEST_F(Verify, AColdBootIsAwake) {
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "parked")}), refused("V2", 6, "boots cold is awake"));
}

TEST_F(Verify, AVolumesKeyChangesWhileItIsClosed) {
  state = kNetwork + Texts{volume(kFirst)};
  EXPECT_EQ(verdict({"~ volume " + kFirst + " 1>2"}), "accepted");
  EXPECT_EQ(verdict({"~ volume " + kFirst + " 1>2", "~ volume " + kFirst + " 2>9"}), "accepted");
  EXPECT_THAT(verdict({"~ volume " + kFirst + " 2>3"}), refused("V2", 6, "it opens with version 1"));
  EXPECT_THAT(verdict({"~ volume " + kFirst + " 1>1"}), refused("V2", 6, "moves to where it is"));
  EXPECT_THAT(verdict({"~ volume " + kSecond + " 1>2"}), refused("V2", 6, "no volume to move"));
  EXPECT_THAT(verdict({"~ volume " + kFirst + " 1>2", "+ " + stand(kFirst)[0], "+ luksOpen " + kFirst + " key=acme/1"}),
              refused("V2", 8, "opens with the key acme/2"));
  EXPECT_EQ(verdict({"~ volume " + kFirst + " 1>2", "+ " + stand(kFirst)[0], "+ luksOpen " + kFirst + " key=acme/2"}), "accepted");
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"~ volume " + kFirst + " 1>2"}), refused("V2", 6, "the volume is open"));
  state = kNetwork + Texts{with(volume(kFirst), "key=acme/1", "key=none")};
  EXPECT_THAT(verdict({"~ volume " + kFirst + " 1>2"}), refused("V2", 6, "has no key"));
}

// What a broken agent could say of volumes, each with its rule.
TEST_F(Verify, AVolumeIsNotUsedTwiceNorRemovedInUse) {
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"+ " + volume(kFirst)}), refused("V2", 6, "it exists"));
  EXPECT_THAT(verdict({"+ luksOpen " + kFirst + " key=acme/1"}), refused("V2", 6, "it exists"));
  EXPECT_THAT(verdict({"- luksOpen " + kFirst + " key=acme/1"}), refused("V2", 6, "a jail stands on it"));
  EXPECT_THAT(verdict({"- " + volume(kFirst)}), refused("V2", 6, "stands on it"));
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"- " + volume(kFirst)}), refused("V2", 6, "stands on it"));
}

TEST_F(Verify, AColdBootNeedsItsVolumeOpen) {
  Texts closed = stand(kFirst);
  closed.erase(closed.begin() + 2);
  state = kNetwork + closed;
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V2", 6, "has a key and is not open"));
  World::edit(state, "volume", "key=acme/1", "key=none");
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
}

TEST_F(Verify, RefusesAColdBootBesideASnapshot) {
  state = kNetwork + stand(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V2", 6, "the instance has a snapshot"));
}

TEST_F(Verify, AWakeNeedsItsSnapshot) {
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "parked", boots(snapshot(kFirst)))}), refused("V2", 6, "has no snapshot"));
}

TEST_F(Verify, AWakeNeedsItsVolumeOpen) {
  Texts closed = stand(kFirst);
  closed.erase(closed.begin() + 2);
  state = kNetwork + closed + Texts{snapshot(kFirst)};
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "parked", boots(snapshot(kFirst)))}), refused("V2", 6, "is not open"));
}

TEST_F(Verify, RefusesToWakeFromAnotherInstancesSnapshot) {
  state = kNetwork + stand(kFirst) + Texts{snapshot(kFirst)} + sleeping(kSecond, 4);
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "parked", boots(snapshot(kSecond, 4)))}), refused("V2", 6, "snapshot has the digest"));
}

TEST_F(Verify, AResumedGuestIsParked) {
  state = kNetwork + stand(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "awake", boots(snapshot(kFirst)))}), refused("V2", 6, "still parked"));
}

TEST_F(Verify, AWakeKeepsTheSlotOfItsSnapshot) {
  state = kNetwork + stand(kFirst, 5) + Texts{snapshot(kFirst, 3)};
  EXPECT_THAT(verdict({"+ " + jail(kFirst, "running", "parked", boots(snapshot(kFirst, 3)))}), refused("V2", 6, "at slot 3"));
}

TEST_F(Verify, RefusesToResumeOneSnapshotTwice) {
  state = kNetwork + stand(kFirst) + Texts{snapshot(kFirst)};
  const std::string woken = jail(kFirst, "running", "parked", boots(snapshot(kFirst)));
  EXPECT_THAT(verdict({"+ " + woken, "- " + woken, "+ " + woken}), refused("V2", 7, "could be resumed again"));
  EXPECT_THAT(verdict({"+ " + woken, "- " + snapshot(kFirst), "- " + woken, "+ " + woken}), refused("V2", 9, "never resumed twice"));
}

TEST_F(Verify, RefusesToOpenAVolumeWithoutAKeyOrWithAnotherKey) {
  state = kNetwork + Texts{stand(kFirst)[0], volume(kFirst)};
  EXPECT_THAT(verdict({"+ luksOpen " + kFirst + " key=acme/2"}), refused("V2", 6, "opens with the key acme/1"));
  EXPECT_THAT(verdict({"+ luksOpen " + kFirst + " key=beta/1"}), refused("V2", 6, "opens with the key acme/1"));
  World::edit(state, "volume", "key=acme/1", "key=none");
  EXPECT_THAT(verdict({"+ luksOpen " + kFirst + " key=acme/1"}), refused("V2", 6, "has no key"));
}

TEST_F(Verify, ASnapshotIsTakenOfAWarmJail) {
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst)}), refused("V2", 6, "no jail to take it of"));
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst)}), refused("V2", 6, "the jail is running"));
  state = kNetwork + warm(kFirst);
  EXPECT_EQ(verdict({"+ " + snapshot(kFirst)}), "accepted");
}

TEST_F(Verify, ASnapshotKeepsTheSlotOfItsTap) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst, 4)}), refused("V2", 6, "tap has slot 3"));
}

TEST_F(Verify, RefusesASnapshotOfAJailWithoutATap) {
  state = kNetwork + warm(kFirst);
  World::drop(state, "tap");
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst)}), refused("V2", 6, "no tap"));
}

TEST_F(Verify, AFullSnapshotHasNoBaseAndADiffHasOne) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + with(snapshot(kFirst), "base=none", "base=d5")}), refused("V2", 6, "stands on nothing"));
  EXPECT_THAT(verdict({"+ " + with(snapshot(kFirst), "full", "diff")}), refused("V2", 6, "says what it stands on"));
}

TEST_F(Verify, ASnapshotIsNeverWrittenLikeTheOneItsJailWasBootedFrom) {
  state = kNetwork + stand(kFirst) + Texts{jail(kFirst, "warm", "parked", boots(snapshot(kFirst, 3, 1)))};
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst, 3, 1)}), refused("V2", 6, "like the snapshot that the jail was booted from"));
  EXPECT_EQ(verdict({"+ " + snapshot(kFirst, 3, 2)}), "accepted");
}

TEST_F(Verify, ASleepCanBeGivenUpOnlyWhileTheJailIsWarm) {
  state = kNetwork + warm(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_EQ(verdict({"- " + snapshot(kFirst), "~ jail " + kFirst + " warm>running"}), "accepted");
  state = kNetwork + running(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_THAT(verdict({"- " + snapshot(kFirst)}), refused("V2", 6, "was not booted from it"));
}

TEST_F(Verify, AUsedUpSnapshotCanGoWhileItsJailRuns) {
  state = kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst))), snapshot(kFirst)};
  EXPECT_EQ(verdict({"- " + snapshot(kFirst)}), "accepted");
}

TEST_F(Verify, RefusesToRunOnPastASnapshot) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst), "~ jail " + kFirst + " warm>running"}), refused("V2", 7, "a point that the guest has passed"));
}

TEST_F(Verify, ARunningJailMayBePausedBesideTheSnapshotItWasBootedFrom) {
  state = kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst))), snapshot(kFirst)};
  EXPECT_EQ(verdict({"~ jail " + kFirst + " running>warm"}), "accepted");
}

// ---- a pool's base

const std::string kCopied = snapshot(kFirst, 3), kItsBase = base(kCopied);

TEST_F(Verify, AcceptsABaseAndADiffThatStandsOnIt) {
  state = kNetwork + sleeping(kFirst) + warm(kSecond, 4);
  EXPECT_EQ(verdict({"+ " + kItsBase, "+ " + diff_on(kItsBase, kSecond, 4)}), "accepted");
}

TEST_F(Verify, ABaseStandsWhenWhatItIsACopyOfHasGone) {
  state = kNetwork + warm(kFirst) + Texts{kItsBase};
  EXPECT_EQ(verdict({"+ " + diff_on(kItsBase, kFirst)}), "accepted");
}

TEST_F(Verify, APoolHasOneBase) {
  state = kNetwork + sleeping(kFirst) + sleeping(kSecond, 4) + Texts{kItsBase};
  EXPECT_THAT(verdict({"+ " + base(snapshot(kSecond, 4))}), refused("V2", 6, "it exists: base acme/web"));
}

TEST_F(Verify, ABaseIsOfAFullSnapshotOfItsPoolAlone) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + kItsBase}), refused("V2", 6, "no full snapshot with that digest"));
  const std::string of_beta = "snapshot " + kOfBeta + " kind=full base=none key=beta/1 compression=none slot=3 seq=1";
  state = kNetwork + Texts{of_beta};
  EXPECT_THAT(verdict({"+ " + base(of_beta)}), refused("V2", 6, "no full snapshot with that digest"));
  const std::string diff = diff_on(kItsBase, kSecond, 4);
  state = kNetwork + Texts{volume(kSecond), diff};
  EXPECT_THAT(verdict({"+ " + base(diff)}), refused("V2", 6, "no full snapshot with that digest"));
}

TEST_F(Verify, ABaseHasTheKeyOfWhatItIsACopyOf) {
  state = kNetwork + sleeping(kFirst);
  EXPECT_THAT(verdict({"+ " + base(kCopied, "acme/2")}), refused("V2", 6, "the snapshot has another key"));
}

TEST_F(Verify, ABaseThatDiffsStandOnStays) {
  state = kNetwork + Texts{kItsBase, volume(kSecond), diff_on(kItsBase, kSecond, 4)};
  EXPECT_THAT(verdict({"- " + kItsBase}), refused("V2", 6, "1 snapshots of the pool stand on it"));
  state = kNetwork + Texts{kItsBase} + sleeping(kSecond, 4);
  EXPECT_EQ(verdict({"- " + kItsBase}), "accepted");
}

TEST_F(Verify, ABaseMayGoOnceTheLastDiffHas) {
  const std::string diff = diff_on(kItsBase, kFirst);
  state = kNetwork + warm(kFirst) + Texts{kItsBase, diff};
  EXPECT_EQ(verdict({"- " + diff, "- " + kItsBase}), "accepted");
}

TEST_F(Verify, ADiffStandsOnItsPoolsBase) {
  state = kNetwork + warm(kSecond, 4);
  EXPECT_THAT(verdict({"+ " + diff_on(kItsBase, kSecond, 4)}), refused("V2", 6, "its base is not the pool's"));
  state = kNetwork + warm(kSecond, 4) + Texts{base(snapshot(kThird))};
  EXPECT_THAT(verdict({"+ " + diff_on(kItsBase, kSecond, 4)}), refused("V2", 6, "its base is not the pool's"));
}

TEST_F(Verify, ADiffStandsOnABaseThatIsLikeItsJail) {
  for (const auto& [from, to] : {std::pair("image=d1", "image=d2"), std::pair("mem=1024", "mem=1023")}) {
    const std::string other = with(kItsBase, from, to);
    state = kNetwork + warm(kSecond, 4) + Texts{other};
    EXPECT_THAT(verdict({"+ " + diff_on(other, kSecond, 4)}), refused("V2", 6, "another image or size of memory"));
  }
}

TEST_F(Verify, ADiffHasTheKeyOfItsBase) {
  const std::string other = base(kCopied, "acme/2");
  state = kNetwork + warm(kSecond, 4) + Texts{other};
  EXPECT_THAT(verdict({"+ " + diff_on(other, kSecond, 4)}), refused("V2", 6, "the pool's base has another key"));
}

TEST_F(Verify, ADiffWakesWhereItsBaseIs) {
  const std::string diff = diff_on(kItsBase, kFirst);
  const std::string woken = "+ " + jail(kFirst, "running", "parked", boots(diff));
  state = kNetwork + stand(kFirst) + Texts{diff, kItsBase};
  EXPECT_EQ(verdict({woken, "- " + diff}), "accepted");
  state = kNetwork + stand(kFirst) + Texts{diff};
  EXPECT_THAT(verdict({woken}), refused("V2", 6, "a base that the pool does not have"));
  state = kNetwork + stand(kFirst) + Texts{diff, base(snapshot(kThird))};
  EXPECT_THAT(verdict({woken}), refused("V2", 6, "a base that the pool does not have"));
}

}  // namespace
}  // namespace mvm::lang::build
