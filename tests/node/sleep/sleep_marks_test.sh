#!/bin/bash
# hostd killed around every mark of plans that put a microVM to sleep and wake it: after each kill it starts again with a state that holds. One that was
# on its way to sleep runs on or sleeps, as it was, and nobody's memory is lost; one that was waking sleeps, or runs with every byte of its
# memory, or was waking when hostd died and has ended; never is one there twice. Runs in the VM.
#   sleep_marks_test.sh [EVERY]    as marks_test.sh, but of each 14th mark
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
every=${1:-14}
kills=0 ended=0 last_mark=0

# now_sound WHEN WHAT...
now_sound() {
    local what=$1 each
    shift
    for each in "$@"; do $each >"$scratch/why" || failed "$what: $each: $(cat "$scratch/why")"; done
}
# kill_at FAULT RUNNING SLEEPING: on the way there.
kill_at() {
    local before=$scratch/microvms
    start_with_identity "$1" || give_up "$1: hostd does not start"
    microvms >"$before"
    wanted_asleep "$scratch/way.projection" "$2" 0 "$3"
    make_plan "$scratch/way.projection" || give_up "$1: no plan: $(cat "$scratch/made")"
    [ $((2 * $(statements "$scratch/plan"))) -le "$last_mark" ] || last_mark=$((2 * $(statements "$scratch/plan")))
    apply "$scratch/way.projection"
    # A way that has fewer marks is simply gone.
    if wait_gone; then kills=$((kills + 1)); else stop_hostd; fi
    start_with_identity || give_up "$1: hostd does not start again"
    now_sound "$1 to $2 running" sound_volumes sound_sleep
    # Where a microVM has ended, what it stood on is left for the next plan.
    [ -z "$(instances)" ] || now_sound "$1 to $2 running" sound
    if [ "$2" = 0 ]; then
        if [ -n "$(instances)" ]; then
            diff <(microvms) "$before" >"$scratch/why" || failed "$1: it was to sleep, and is another: $(cat "$scratch/why")"
        fi
        [ "$(instances; sleepers)" = "$instance" ] || failed "$1: it was to sleep, and there is: $(mvm state)"
    elif [ -z "$(instances; sleepers)" ]; then
        ended=$((ended + 1))
    fi
    come_to "$2" 0 "$3" || give_up "$1: the rest of the way to $2 running does not work: $(tail -3 "$scratch/applied")"
    now_sound "$1 to $2 running, and there" sound sound_volumes sound_sleep
    [ "$(instances; sleepers)" = "$instance" ] || failed "$1: another: $(mvm state)"
    if [ "$2" = 1 ]; then
        if woken "$instance"; then wait_until 60 remembers "$instance" || failed "$1: its memory: $(guest_says "$instance" memory)"; fi
        [[ $(guest_says "$instance" daemon) == *" state ready" ]] || failed "$1: its guest: $(guest_says "$instance" daemon)"
        [ "$(guest_says "$instance" "read data 4096 4")" = kept ] || failed "$1: its drive"
    fi
    stop_hostd || give_up "$1: hostd does not end"
}

begin_sleep 512
start_empty
stop_hostd
take_inventory "$scratch/before"
start_with_identity || give_up "hostd does not start again"
come_to 1 0 0 || give_up "one does not run"
instance=$(instances)
[ "$(guest_says "$instance" "write data 4096 kept")" = written ] || failed "its guest cannot write"
stop_hostd

mark=$((1 + RANDOM % every))
echo "from mark $mark, each ${every}th"
while :; do
    for side in before after; do
        kill_at "$side:$mark" 0 1
        kill_at "$side:$mark" 1 0
    done
    mark=$((mark + every))
    [ "$mark" -le "$last_mark" ] || break
done
start_empty
stop_hostd
same_inventory "the node is as before"
check "the audit log is sound" mvm audit verify
echo "$kills kills around $last_mark marks, $ended ended while they were waking, $failures failures"
exit $((failures > 0))
