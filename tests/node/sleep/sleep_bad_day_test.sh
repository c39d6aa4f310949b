#!/bin/bash
# What can go wrong while a microVM is put to sleep or wakes: a worker or the VMM or the page server that is killed in the middle, a disk or a memory file
# system that is full. Before the snapshot is whole and synced the microVM runs on, as it was; nothing is half there, and nobody wakes of anything but all
# of its memory. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
guest_mib=128  # so that there is time to be killed in
pages=$((guest_mib * 256))
whole_memory="checked=$pages of=$pages wrong=0"
snapshot_disk=$scratch/snapshot-disk

runs_on() { [ "$(instances)" = "$instance" ] && diff <(microvms) "$scratch/microvms" && mvm state | grep -q "^jail $instance .*state=running guest=awake"; }
sounds() { for each in sound sound_volumes sound_sleep; do $each || return 1; done; }
# What holds too where a microVM has ended, and what it stood on is left for the next plan.
nothing_half() { sound_volumes && sound_sleep; }
ended() { ! pgrep -x firecracker && [ -z "$(instances)" ]; }
worker() { pgrep -x -P "$hostd_pid" "$1"; }
remembers_if_woken() { ! woken "$instance" || wait_until 60 remembers "$instance"; }
sealing() { [ -n "$(find "$snapshots" -type f -name '*.new' -size +0)" ]; }
# tries RUNNING SLEEPING: one plan, whatever becomes of it.
tries() {
    wanted_asleep "$scratch/way.projection" "$1" 0 "$2"
    make_plan "$scratch/way.projection" || return 1
    apply "$scratch/way.projection"
}
# wait_for COMMAND: more often than wait_until looks; what it waits for does not last.
wait_for() { local until=$((SECONDS + 30)); until "$@"; do [ $SECONDS -lt $until ] || return 1; done; }
fill() { dd if=/dev/zero of="$1/filler" bs=1M count="${2:-100000}" 2>/dev/null; sync; }
back() { come_to 1 0 0 && [ "$(instances)" = "$instance" ]; }

begin_sleep 192
start_empty
come_to 1 0 0 || give_up "one does not run"
instance=$(instances)

echo "== a full disk"
microvms >"$scratch/microvms"
fill "$snapshots"
check "it does not fall asleep" eval '! tries 0 1'
check "why is said" grep -q "failed  *+ snapshot $instance.*No space left" "$scratch/applied"
check "it runs on, and was told to go on" runs_on
check "nothing of it is left" eval 'rm -f "$snapshots/filler"; sounds'
check "once there is room it sleeps" come_to 0 0 1
check "it wakes" back
check "every byte of its memory is what it was" wait_until 60 remembers "$instance"

echo "== no room in memory"
microvms >"$scratch/microvms"
mount -o remount,size=64M "$memory_directory"
fill "$memory_directory"
check "it does not fall asleep" eval '! tries 0 1'
check "it runs on, and was told to go on" runs_on
check "nothing of it is left" eval 'rm -f "$memory_directory/filler"; sounds'
mount -o remount,size=100% "$memory_directory"
check "once there is room it sleeps" come_to 0 0 1
check "it wakes" back

for case in snapshot:sealing jail:dumped; do
    victim=${case%:*} moment=${case#*:}
    echo "== the $victim worker is killed while a snapshot is being made: $moment"
    remembers_if_woken || failed "its memory: $(guest_says "$instance" memory)"
    microvms >"$scratch/microvms"
    pid=$(worker mvm-$victim)
    tries 0 1 &
    plan=$!
    wait_for $moment || failed "it is not $moment"
    kill -KILL "$pid"
    wait $plan
    check "hostd ends" wait_gone
    start_with_identity || give_up "hostd does not start again"
    check "the microVM is the same, or sleeps" eval '[ "$(instances; sleepers)" = "$instance" ] && { [ -n "$(sleepers)" ] || diff <(microvms) "$scratch/microvms"; }'
    check "nothing is half there" sounds
    check "it falls asleep then" come_to 0 0 1
    check "and wakes" back
done

echo "== the VMM is killed while it falls asleep"
remembers_if_woken || failed "its memory: $(guest_says "$instance" memory)"
tries 0 1 &
plan=$!
wait_for dumped || failed "nothing is dumped"
pkill -KILL -x firecracker
wait $plan
check "it has ended, or sleeps, and is there once at most" eval 'wait_until 20 ended && [ "$( (instances; sleepers) | wc -l)" -le 1 ]'
check "nothing is half there" nothing_half
check "it comes back" back
come_to 0 0 1 || failed "it does not fall asleep"

echo "== the page server is killed while it serves"
wanted_asleep "$scratch/way.projection" 1 0 0
make_plan "$scratch/way.projection" || give_up "no plan"
apply "$scratch/way.projection" &
plan=$!
wait_until 30 pgrep -x mvm-pages || failed "there is no page server"
pkill -KILL -x mvm-pages
wait $plan
check "its microVM is ended with it, or had all of its memory" wait_until 20 eval 'nothing_half && { ended || remembers "$instance"; }'
check "it is there once at most" test "$( (instances; sleepers) | wc -l)" -le 1
check "it comes back" back
check "its drive is what it was" sounds

echo "== the VMM is killed while it wakes"
come_to 0 0 1 || failed "it does not fall asleep"
apply_wake() { wanted_asleep "$scratch/way.projection" 1 0 0 && make_plan "$scratch/way.projection" && apply "$scratch/way.projection"; }
apply_wake &
plan=$!
wait_until 30 pgrep -x firecracker || failed "there is no VMM"
pkill -KILL -x firecracker
wait $plan
check "nothing is half there" wait_until 20 nothing_half
check "no page server is left" wait_until 20 eval '! pgrep -x mvm-pages'
check "it comes back" back

reach_nothing || failed "it is not removed"
check "no snapshot is left" test -z "$(find "$snapshots" -mindepth 1)"
stop_hostd
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
