#!/bin/bash
# Each worker killed while nothing runs and in the middle of a plan: hostd ends rather than go on without it, is started again, and
# the node becomes what is wanted. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"

worker_pid() { pgrep -x -P "$(hostd_pid_of_unit)" "mvm-$1"; }
in_a_plan() { [ -e /var/lib/mvm/journal/plan ]; }

begin_with_units
workers="gate net storage snapshot jail guest"
wanted "$scratch/all.projection" 1 1 1
drive "$scratch/all.projection"
many=1 # of each pool: every other worker is killed in a plan that adds, and the rest in one that removes
for worker in $workers; do
    hostd=$(hostd_pid_of_unit)
    microvms >"$scratch/microvms"
    kill -KILL "$(worker_pid "$worker")"
    check "$worker killed while nothing runs: hostd ends and is started again" wait_until 50 other_hostd "$hostd"
    check "and every microVM is still there" diff <(microvms) "$scratch/microvms"
    check "and the state holds" sound

    hostd=$(hostd_pid_of_unit)
    many=$((3 - many))
    wanted "$scratch/other.projection" $many $many $many
    pid=$(worker_pid "$worker")
    hand_to_agent "$scratch/other.projection"
    wait_until 100 in_a_plan || failed "no plan begins"
    kill -KILL "$pid"
    check "$worker killed in the middle of a plan: hostd ends and is started again" wait_until 50 other_hostd "$hostd"
    check "and the node becomes what is wanted" wait_until 400 converged "$generation"
    check "and the state holds" sound
done
end_with_nothing
echo "$((2 * $(wc -w <<<"$workers"))) workers killed, $failures failures"
exit $((failures > 0))
