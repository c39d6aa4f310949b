#!/bin/bash
# hostd killed around every statement of a plan that makes two tenants with three pools and six instances, and of one that removes
# them: after each it starts again with a state that holds, and goes on; at the end nothing is left over. Runs in the VM.
#   marks_test.sh [EVERY]    1: before and after each mark of the journal, which has two of each statement; 12, the default: so
#                            of each twelfth mark, from another first one each time.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"
every=${1:-12}
kills=0
last_mark=0

# kill_at FAULT PROJECTION: what dies at FAULT on the way to PROJECTION stands again, and the rest of the way works.
kill_at() {
    start_hostd "$1" || give_up "$1: hostd does not start"
    make_plan "$2" || give_up "$1: no plan: $(cat "$scratch/made")"
    [ "$last_mark" != 0 ] || last_mark=$((2 * $(statements "$scratch/plan")))
    if apply "$2"; then failed "$1: nothing was killed"; fi
    wait_gone || give_up "$1: hostd still runs"
    kills=$((kills + 1))
    start_hostd || give_up "$1: hostd does not start again"
    sound >"$scratch/why" || failed "$1: $(cat "$scratch/why")"
    reach "$2" || give_up "$1: the rest of the plan does not work: $(tail -3 "$scratch/applied")"
    stop_hostd || give_up "$1: hostd does not end"
}

begin_survive
start_hostd || give_up "hostd does not start"
wanted_nothing "$scratch/nothing.projection"
reach "$scratch/nothing.projection" || give_up "what stood before is not removed"
stop_hostd
take_inventory "$scratch/before"
swept=$(audit_lines 'sweep ')

mark=$((1 + RANDOM % every))
echo "from mark $mark, each ${every}th"
while :; do
    for side in before after; do
        wanted "$scratch/all.projection" 2 2 2
        kill_at "$side:$mark" "$scratch/all.projection"
        wanted_nothing "$scratch/nothing.projection"
        kill_at "$side:$mark" "$scratch/nothing.projection"
    done
    mark=$((mark + every))
    [ "$mark" -le "$last_mark" ] || break
done
same_inventory "the node is as before"
check "the audit log is sound" mvm audit verify
interrupted=$(grep -c 'recovered interrupted=sha256' /var/lib/mvm/audit/log)
echo "$kills kills around $last_mark marks, $(($(audit_lines 'sweep ') - swept)) things without a line swept by recovery, $interrupted interrupted plans in the audit log, $failures failures"
exit $((failures > 0))
