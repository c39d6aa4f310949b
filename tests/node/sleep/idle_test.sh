#!/bin/bash
# agentd's idle policy, in the units as they are installed, with short times: who has nothing to do is paused and then sleeps, who works or is pinned
# runs on; who is asked for is woken, once, however many ask; and who is held is left alone. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

quick=/etc/systemd/system/mvm-agentd.service.d/idle.conf
leave_idle() {
    local status=$?
    rm -f $quick
    systemctl daemon-reload
    (exit $status)
    leave_keys
}
begin_keys
trap leave_idle EXIT
has_doubles || { echo "skipped: what a guest is busy with is asked of the doubles"; exit 0; }

# quick WARM SLEEP: agentd starts again with those times.
quick() {
    mkdir -p "$(dirname $quick)"
    printf '[Service]\nExecStart=\nExecStart=/usr/libexec/mvm/mvm-agentd --idle --idle-warm %s --idle-sleep %s --idle-pressure 0\n' "$1" "$2" >$quick
    systemctl daemon-reload
    systemctl restart mvm-agentd
}
wanted_three() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=none"
        for pool in "kept 1 yes" "tasks $1 no"; do
            read -r name running pinned <<<"$pool"
            echo "pool acme/$name image=sha256:$image vcpus=1 mem=$guest_mib data=0 running=$running warm=0 sleeping=0 pinned=$pinned critical=no compression=zstd config=none"
        done
    } | projection "$scratch/idle.projection" "$generation" || give_up "no projection"
    rm -f $sealed/*
    drive "$scratch/idle.projection"
    seal_key acme 1
}
state_of() {
    local line
    line=$(mvm state | grep "^jail $1 ") || { mvm state | grep -q "^snapshot $1 " && echo sleeping; return; }
    sed 's/.* state=\([a-z]*\) .*/\1/' <<<"$line"
}
is() { [ "$(state_of "$1")" = "$2" ]; }
reads() { mvm readings | grep "^$1 " | grep -q "$2"; }
# Several at once: agentd reads every second here.
goes_on_when_sent_to() {
    local pings=()
    for _ in 1 2 3 4; do guest_ping "$busy" "$1" >/dev/null & pings+=($!); done
    wait "${pings[@]}"
    is "$idle" running
}
done_in_log() { grep -c "done $1" /var/lib/mvm/audit/log; }

quick 0 0
wanted_three 2
wait_until 60 eval '[ "$(instances | wc -l)" = 3 ]' || give_up "three do not run"
kept=$(instances | grep ^acme/kept/)
idle=$(instances | grep ^acme/tasks/ | head -1) busy=$(instances | grep ^acme/tasks/ | tail -1)
check "the guests are told" eval '[ "$(guest_says "$idle" "work idle") $(guest_says "$busy" "work busy") $(guest_says "$kept" "work idle")" = "ok ok ok" ]'
check "what a guest says is read" reads "$idle" "guest=idle"
check "of another, too" reads "$busy" "guest=busy"
check "and what its cgroup and its tap have counted" reads "$idle" "cpu=[1-9][0-9]* memory=[1-9][0-9]* sent=[0-9]* received=[0-9]*"
check "hold" mvm hold "$idle" 3600

quick 4 30
sleep 10
check "what is held runs on, idle as it is, and when agentd starts again" is "$idle" running
check "a hold ends" mvm hold "$idle" 0
check "the idle one is paused" wait_until 40 is "$idle" warm
check "having parked" eval 'mvm state | grep -q "^jail $idle .* guest=parked"'
check "and goes on when it is sent to" wait_until 10 goes_on_when_sent_to "10.240.3.$(slot_of "$idle")"
check "told to" eval 'mvm state | grep -q "^jail $idle .* guest=awake"'
check "and is paused once more" wait_until 40 is "$idle" warm
check "and sleeps" wait_until 60 is "$idle" sleeping
check "agentd says who rests" wait_until 10 grep -q "\"$idle\": \"asleep\"" $status_file
check "the busy one runs" is "$busy" running
check "so does the pinned one" is "$kept" running
check "nobody else was made" eval '[ "$(mvm state | grep -c "^\(jail\|snapshot\) ")" = 3 ]'
systemctl restart mvm-agentd
sleep 3
check "it sleeps on when agentd starts again" is "$idle" sleeping

quick 0 0
check "agentd listens" wait_until 20 eval 'mvm wake acme/tasks 1'
before=$(done_in_log "+ jail $idle")
mvm wake acme/tasks 2 >"$scratch/first" 2>&1 &
first=$!
mvm wake acme/tasks 2 >"$scratch/second" 2>&1 &
second=$!
check "the one wake is done" wait $first
check "the other, too" wait $second
check "it runs" is "$idle" running
check "of two wakes at once one woke it" test "$(cat "$scratch/first" "$scratch/second" | sort | tr '\n' ' ')" = "2 are awake, 0 were woken 2 are awake, 1 was woken "
check "once" test $(($(done_in_log "+ jail $idle") - before)) = 1
check "its guest goes on" wait_until 10 eval '[ "$(guest_says "$idle" daemon | cut -d" " -f1-6)" = "parks 2 wakes 2 goes 2" ]'
check "with all of its memory" wait_until 60 remembers "$idle"
check "whoever is awake is not woken" eval '[ "$(mvm wake acme/tasks 1)" = "2 are awake, 0 were woken" ]'
check "more than there are to be is refused" eval '! mvm wake acme/tasks 3'
check "by hand: sleep" mvm sleep "$busy"
check "it sleeps, busy as it was" is "$busy" sleeping
check "a pinned one does not" eval '! mvm sleep "$kept"'
check "agentd's user may wake" eval 'agent_mvm wake acme/tasks 2 | grep -q "2 are awake, 1 was woken"'
check "nobody else" eval '! setpriv --reuid=nobody --regid=nogroup --clear-groups mvm wake acme/tasks 2'

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "no snapshot is left" wait_until 30 eval '[ -z "$(files_of_snapshots)" ]'
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
