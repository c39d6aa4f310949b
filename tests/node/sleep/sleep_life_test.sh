#!/bin/bash
# The whole life by plan: running, warm, sleeping, running, and every byte of memory compared by the guest that wakes; with its drive, its address, and
# nothing left over at any stage. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"

begin_storage
start_empty
stop_hostd
take_inventory "$scratch/before"
start_with_identity || give_up "hostd does not start again"

come_to 2 0 0 || give_up "two do not run"
first=$(instances | head -1) second=$(instances | tail -1)
check "a guest writes into its memory" test "$(guest_says "$second" "dirty 200")" = written
check "and onto its drive" test "$(guest_says "$second" "write data 4096 kept")" = written

come_to 1 1 0 || give_up "one does not become warm"
check "one is warm" test "$(mvm state | grep -c "^jail $second .*state=warm")" = 1
come_to 1 0 1 || give_up "it does not fall asleep"
check "it sleeps" test "$(sleepers)" = "$second"
check "the other runs on" test "$(instances)" = "$first"
check "one process is left" test "$(pgrep -xc firecracker)" = 1
check "its drive is closed" test "$(mapped)" = 1
check "nothing of it is in memory" test "$(in_memory | grep -c "${second##*/i-}")" = 0
check "there are its file and its pool's base, for their worker alone" test "$(find "$snapshots" -type f -printf '%f %m %u\n' | sort)" = "base.snap 600 mvm-snapshot
${second##*/}.snap 600 mvm-snapshot"
check "the base's digest is noted" test -e /var/lib/mvm/records/acme.db.pool.newest
check "it sleeps whole, for there was no base before" test "$(mvm state | grep -c '^snapshot .* kind=full')" = 1
check "in directories for its worker alone" test -z "$(find "$snapshots" -type d -not \( -perm 700 -user mvm-snapshot \))"
check "the file's digest is noted" test -e "/var/lib/mvm/records/${second//\//.}.newest"

come_to 2 0 0 || give_up "it does not wake"
check "the same runs again" test "$(instances | tail -1)" = "$second"
check "booted from its snapshot" test "$(mvm state | grep -c "^jail $second .*boot=snapshot:")" = 1
check "every byte of its memory is what it was" wait_until 60 remembers "$second"
check "its drive too" test "$(guest_says "$second" "read data 4096 4")" = kept
check "its address too" test "$(guest_says "$second" address)" = "10.240.3.$(slot_of "$second")"
check "it reaches the other" grep -q reply <(guest_ping "$second" "10.240.3.$(slot_of "$first")")
check "its guest, which was paused before it slept, was told to go on and nothing else" test "$(guest_says "$second" daemon)" = "parks 0 wakes 1 goes 0 state ready"
check "its snapshot is gone" test -z "$(files_of_snapshots)"
check "and what was noted of it" test ! -e "/var/lib/mvm/records/${second//\//.}.newest"
check "no page server is left" wait_until 20 bash -c '! pgrep -x mvm-pages'

for times in 1 2 3; do
    come_to 0 0 2 || give_up "they do not fall asleep"
    check "both sleep" test "$(sleepers | wc -l)" = 2
    check "on their pool's base" test "$(mvm state | grep -c '^snapshot .* kind=diff')" = 2
    check "what each has for itself is little" test "$(find "$snapshots" -name 'i-*.snap' -size +256k | wc -l)" -lt 2
    check "nothing runs" test "$(pgrep -xc firecracker)" = 0
    check "nothing is in memory" test -z "$(in_memory)"
    come_to 2 0 0 || give_up "they do not wake"
    for each in $first $second; do check "$each has all of its memory" wait_until 60 remembers "$each"; done
    check "it has its memory back" test "$(guest_says "$second" balloon)" = "asked=0 given=0"
    check "each guest has parked and gone on" test "$(guest_says "$first" daemon)" = "parks $times wakes $times goes $times state ready"
done

come_to 1 0 1 || give_up "one does not fall asleep"
wanted_nothing "$scratch/nothing.projection"
check "sleeping or not, all is destroyed" reach "$scratch/nothing.projection"
check "no snapshot is left" test -z "$(find "$snapshots" -mindepth 1)"
stop_hostd
same_inventory "the node is as before"
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
