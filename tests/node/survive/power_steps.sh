#!/bin/bash
# usage: power_steps.sh before|after. The two halves of power_test.sh, in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"
seen=/var/lib/mvm-node-test/power
if [ "$1" = before ]; then
    begin_with_units
    wanted "$scratch/all.projection" 2 2 2
    drive "$scratch/all.projection"
    check "six microVMs run before the cut" test "$(microvms | wc -l)" = 6
    echo "$generation" >"$seen"
    trap - EXIT
    sync
    exit $((failures > 0))
fi
trap leave_node EXIT
generation=$(cat "$seen")
systemctl start mvm-hostd
wait_until 100 hostd_answers || give_up "hostd does not answer after the cut"
mvm state >"$scratch/state"
check "no line of what was in memory is left" test "$(sed '1,/^desired/d; /^end/d' "$scratch/state" | wc -l)" = 0
check "the generation is what it was" grep -qx "generation $generation" "$scratch/state"
check "the audit log is sound" mvm audit verify
take_inventory "$scratch/inventory"
check "no jail is left on the disk" bash -c "! grep -E 'file .* $jails/.*/firecracker/' $scratch/inventory"
systemctl start mvm-agentd
wait_until 400 converged "$generation" || give_up "the node does not come back: $(tr -d '\n' </run/mvm-agentd/status.json)"
check "six microVMs run again" test "$(microvms | wc -l)" = 6
check "the state holds" sound
wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "nothing stands at the end" test "$(mvm state | sed '1,/^desired/d; /^end/d' | wc -l)" = 0
check "nothing runs at the end" test "$(microvms | wc -l)" = 0
exit $((failures > 0))
