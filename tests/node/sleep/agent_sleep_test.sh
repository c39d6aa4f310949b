#!/bin/bash
# agentd puts to sleep and wakes, in the units as they are installed: a guest parks before and goes on after, and one that does not do as it is told is told
# to go on, runs on, and is put to sleep without having parked. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

begin_keys
has_doubles || { echo "skipped: what a guest is told is asked of the doubles"; exit 0; }
good_image=$image
truncate -s 0 "$work/image/rootfs"
echo "mvm-double guest-refuses" >"$work/image/rootfs"
truncate -s 8192 "$work/image/rootfs"
mvm image manifest "$work/image" --flake path:refuses --lock-file "$work/flake.lock" >/dev/null
refusing_image=$(mvm image import "$work/image")
refusing_image=${refusing_image#sha256:}

# wanted_both RUNNING SLEEPING: of acme/good, and of acme/refuses, whose guests do not park; with the key that this takes.
wanted_both() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=none"
        for pool in "acme/good image=sha256:$good_image" "acme/refuses image=sha256:$refusing_image"; do
            echo "pool $pool vcpus=1 mem=$guest_mib data=0 running=$1 warm=0 sleeping=$2 pinned=no critical=no compression=zstd config=none"
        done
    } | projection "$scratch/both.projection" "$generation"
    rm -f $sealed/*
    drive "$scratch/both.projection"
    seal_key acme 1
}
asleep() { [ "$(sleepers | wc -l)" = "$1" ]; }

wanted_both 1 0
wait_until 60 eval '[ "$(instances | wc -l)" = 2 ]' || give_up "two do not run"
good=$(instances | grep ^acme/good/) refusing=$(instances | grep ^acme/refuses/)

wanted_both 0 1
check "both fall asleep" wait_until 120 asleep 2
check "the one that did not park was told to" grep -q "failed ~ guest $refusing awake>parked: " /var/lib/mvm/audit/log
check "once" test "$(grep -c "failed ~ guest $refusing" /var/lib/mvm/audit/log)" = 1
check "and paused as it was" grep -q "done ~ jail $refusing running>warm" /var/lib/mvm/audit/log
check "agentd says so" wait_until 10 bash -c "journalctl -u mvm-agentd | grep -q 'its guest does not do as it is told'"
check "nothing is in memory" test -z "$(in_memory)"

wanted_both 1 0
check "both wake" wait_until 120 eval '[ "$(instances | wc -l)" = 2 ]'
check "they are the same" test "$(instances | sort)" = "$(printf '%s\n%s' "$good" "$refusing")"
check "the one has parked and gone on" wait_until 20 eval '[ "$(guest_says "$good" daemon)" = "parks 1 wakes 1 goes 1 state ready" ]'
check "the other was told to go on when it had not parked, and nothing since" test "$(guest_says "$refusing" daemon)" = "parks 0 wakes 1 goes 0 state ready"
for each in $good $refusing; do check "$each has all of its memory" wait_until 60 remembers "$each"; done

# A restarted agentd asks it again.
systemctl restart mvm-agentd
wait_until 30 eval '[ "$(guest_says "$refusing" daemon)" = "parks 0 wakes 2 goes 0 state ready" ]' || failed "a restarted agentd does not tell it to go on: $(guest_says "$refusing" daemon)"

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "no snapshot is left" wait_until 30 eval '[ -z "$(files_of_snapshots)" ]'
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
