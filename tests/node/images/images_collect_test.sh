#!/bin/bash
# Collecting images on a node that works with them: what nothing names goes, and what is used never does, not even between a plan's beginning and
# its end. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/survive_lib.sh"

filed() { [ -d "/var/lib/mvm/images/$1" ]; }
collect() { mvm image collect --older-than 0 "$@"; }
# Until $scratch/stop is there, without a pause.
collect_on() {
    local rounds=0
    until [ -e "$scratch/stop" ]; do
        collect >"$scratch/collected" 2>&1 || { cat "$scratch/collected"; return 1; }
        rounds=$((rounds + 1))
    done
    echo "collected $rounds times"
    [ $rounds -gt 0 ]
}

begin_survive
modprobe -a loop dm_mod dm_verity
install -d -o mvm -g mvm "$desired"  # as agentd's unit would
start_hostd || give_up "hostd does not start"
reach_nothing || give_up "what stood before is not removed"
rm -f "$desired"/*.projection*
used=$image

# Another, which nothing names.
echo "another lock file" >"$work/flake.lock"
mvm image manifest "$work/image" --flake path:other --lock-file "$work/flake.lock" >/dev/null
other=$(mvm image import "$work/image")
other=${other#sha256:}
check "there are two images" bash -c "[ -d /var/lib/mvm/images/$used ] && [ -d /var/lib/mvm/images/$other ]"

wanted "$scratch/one.projection" 1 0 0
reach "$scratch/one.projection" || { cat "$scratch/applied" "$hostd_log"; give_up "a plan does not run"; }
check "collecting" collect
check "the one that nothing names is gone" bash -c "[ ! -e /var/lib/mvm/images/$other ]"
check "the one that the state names is there" filed "$used"
reach_nothing || give_up "it is not stopped"
check "collecting" collect
check "without a jail of it that goes, too" bash -c "[ ! -e /var/lib/mvm/images/$used ]"
make_image
want "$scratch/one.projection"
check "collecting" collect
check "one that a projection names stays" filed "$used"
rm -f "$desired"/*.projection*

# From here on nothing but hostd's lock, and then its records, speaks for it.
for round in 1 2 3 4 5; do
    make_image
    rm -f "$scratch/stop"
    wanted "$scratch/one.projection" 3 0 0
    make_plan "$scratch/one.projection" || give_up "no plan"
    { sleep "0.$round"; collect_on; } >"$scratch/rounds" 2>&1 &
    collector=$!
    apply "$scratch/one.projection"
    running=$(instances | wc -l)
    if filed "$used"; then there=yes; else there=no; fi
    touch "$scratch/stop"
    wait $collector || failed "round $round: collecting failed: $(cat "$scratch/rounds")"
    [ "$running" = 0 ] || [ $there = yes ] || failed "round $round: $running microVMs of an image that was collected"
    [ "$running" != 0 ] || [ $there = no ] || failed "round $round: the image is there, and none of it runs: $(tail -3 "$scratch/applied")"
    echo "round $round: $running running, image there: $there, $(cat "$scratch/rounds")"
    reach_nothing || give_up "they are not stopped"
done

# Begun before anybody collects, and held up in the middle: every statement takes a while.
make_image
wanted "$scratch/one.projection" 3 1 1
make_plan "$scratch/one.projection" || give_up "no plan"
apply "$scratch/one.projection" &
plan=$!
wait_until 30 pgrep -x firecracker
while kill -0 $plan 2>/dev/null; do collect >"$scratch/collected" 2>&1; done
wait $plan
check "a plan that runs while images are collected has its own" test "$(instances | wc -l)" = 5
check "and it is there" filed "$used"
reach_nothing || give_up "they are not stopped"
make_image
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
