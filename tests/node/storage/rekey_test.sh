#!/bin/bash
# A volume's key changed to another version, with hostd killed around every mark of the plan that does it: whatever it was doing, the state
# then names a version whose key opens the volume, the rest of the way works, the old key opens nothing in the end, and what the guest
# wrote is there. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/storage_lib.sh"
line_of_volume() { mvm state | grep "^volume $instance "; }
version() { line_of_volume | sed 's|.*key=acme/||'; }
# rekey_plan VERSION: to $scratch/plan
rekey_plan() { mvm volume rekey "$instance" "$1" --projection "$scratch/way.projection" >"$scratch/plan" 2>"$scratch/made"; }
opens_with() { cryptsetup open --test-passphrase --key-file "$(key_file acme "$1")" "$(volume_of "$instance")"; }
does_not_open_with() { ! opens_with "$1" 2>/dev/null; }

begin_storage
start_empty
wanted_data "$scratch/way.projection" 1
reach "$scratch/way.projection" || { cat "$scratch/applied"; give_up "a plan with a volume does not run"; }
instance=$(instances)
write_canaries || give_up "the guest cannot write"
check "a volume that is open is not given another key" bash -c "! mvm volume rekey $instance 2 --projection $scratch/way.projection"
wanted_data "$scratch/way.projection" 0
check "it is stopped" reach "$scratch/way.projection"
rekey_plan 2 || give_up "no plan: $(cat "$scratch/made")"
check "the plan is one statement" test "$(grep -c "^~ volume $instance 1>2" "$scratch/plan")$(statements "$scratch/plan")" = 11
check "with both keys it runs" apply "$scratch/way.projection"
check "the state has the new version" test "$(version)" = 2
check "the new key opens it" opens_with 2
check "the old one does not" does_not_open_with 1
stop_hostd
now=2
for fault in before:1 after:1 before:2 after:2; do
    start_with_identity "$fault" || give_up "$fault: hostd does not start"
    other=$((3 - now))
    rekey_plan $other || give_up "$fault: no plan: $(cat "$scratch/made")"
    apply "$scratch/way.projection"
    wait_gone || give_up "$fault: hostd still runs"
    start_with_identity || give_up "$fault: hostd does not start again"
    check "$fault: the state's version ($(version)) opens it" opens_with "$(version)"
    if [ "$(version)" = $now ]; then
        rekey_plan $other
        check "$fault: the rest of the way works" apply "$scratch/way.projection"
    fi
    check "$fault: the new key opens it" opens_with $other
    check "$fault: the old one does not" does_not_open_with $now
    now=$other
    stop_hostd
done
start_with_identity || give_up "hostd does not start"
wanted_data "$scratch/way.projection" 1
check "it runs" reach "$scratch/way.projection"
check "what the guest wrote is there" canaries_are_there
other=$((3 - now))
mvm volume rekey "$instance" $other --projection "$scratch/way.projection" --restart >"$scratch/plan"
check "of one that runs it is stopped and started again" apply "$scratch/way.projection"
check "with the new key" test "$(version)$(mvm state | grep -c "^luksOpen $instance key=acme/$other")$(instances | wc -l)" = ${other}11
check "what the guest wrote is there" canaries_are_there
wanted_nothing "$scratch/way.projection"
check "all of it is destroyed" reach "$scratch/way.projection"
check "the audit log is sound" mvm audit verify
stop_hostd
exit $((failures > 0))
