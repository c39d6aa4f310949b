#!/bin/bash
# hostd killed around every statement of plans that make two instances with data drives, stop them, start them again and remove them:
# after each kill it starts again with a state that holds and with nothing mapped that has no line, what the guests were told
# was written is there, and the rest of the way works; at the end nothing is left over. Runs in the VM.
#   volume_marks_test.sh [EVERY]    as marks_test.sh, but of each 36th mark
set -uo pipefail
. "$(dirname "$(realpath "$0")")/storage_lib.sh"
every=${1:-36}
kills=0

# kill_at FAULT PROJECTION: also sets `marks`, how many the way to PROJECTION has.
kill_at() {
    start_with_identity "$1" || give_up "$1: hostd does not start"
    make_plan "$2" || give_up "$1: no plan: $(cat "$scratch/made")"
    marks=$((2 * $(statements "$scratch/plan")))
    apply "$2"
    # A way that has fewer marks is simply gone.
    if wait_gone; then kills=$((kills + 1)); else stop_hostd; fi
    start_with_identity || give_up "$1: hostd does not start again"
    sound >"$scratch/why" || failed "$1 to $2: $(cat "$scratch/why")"
    sound_volumes >"$scratch/why" || failed "$1 to $2: $(cat "$scratch/why")"
    canaries_are_there >"$scratch/why" || failed "$1 to $2: $(cat "$scratch/why")"
    reach "$2" || give_up "$1: the rest of the plan does not work: $(tail -3 "$scratch/applied")"
    sound_volumes >"$scratch/why" || failed "$1 to $2, then: $(cat "$scratch/why")"
    canaries_are_there >"$scratch/why" || failed "$1 to $2, then: $(cat "$scratch/why")"
}
hostd_ends() { stop_hostd || give_up "hostd does not end"; }

begin_storage
start_empty
hostd_ends
take_inventory "$scratch/before"

mark=$((1 + RANDOM % every))
last_mark=0
echo "from mark $mark, each ${every}th"
while :; do
    for side in before after; do
        for way in "data 2" "data 0" "data 2" "nothing"; do
            case $way in
            nothing) wanted_nothing "$scratch/way.projection"; rm -rf "$memory/canaries" ;;
            *) wanted_data "$scratch/way.projection" "${way#data }" ;;
            esac
            kill_at "$side:$mark" "$scratch/way.projection"
            [ "$marks" -le "$last_mark" ] || last_mark=$marks
            [ "$way" != "data 2" ] || write_canaries || failed "$side:$mark: a guest cannot write"
            hostd_ends
        done
    done
    mark=$((mark + every))
    [ "$mark" -le "$last_mark" ] || break
done
same_inventory "the node is as before"
check "the audit log is sound" mvm audit verify
echo "$kills kills around $last_mark marks, $failures failures"
exit $((failures > 0))
