#!/bin/bash
# hostd killed at random moments while agentd brings the node from one random size to the next. Runs in the VM.
#   random_test.sh [KILLS] [SEED]
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"
kills=${1:-25}
seed=${2:-$(date +%N | sed 's/^0*//')}
RANDOM=$((seed % 32768))
echo "seed $((seed % 32768)), $kills kills"

begin_with_units
swept=$(audit_lines 'sweep ') interrupted=$(audit_lines 'recovered interrupted=sha256') complaints=$(hostd_complaints)
for kill in $(seq "$kills"); do
    wanted "$scratch/some.projection" $((RANDOM % 4)) $((RANDOM % 4)) $((RANDOM % 4))
    hand_to_agent "$scratch/some.projection"
    sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
    systemctl kill -s KILL --kill-who=main mvm-hostd
    [ $((kill % 5)) = 0 ] || continue
    wait_until 100 hostd_answers || give_up "kill $kill: hostd does not answer again"
    wait_until 400 converged "$generation" || give_up "kill $kill: the node does not converge again"
    sound >"$scratch/why" || failed "kill $kill: $(cat "$scratch/why")"
done
end_with_nothing
complaints=$(($(hostd_complaints) - complaints))
[ "$complaints" = 0 ] || failed "hostd ended by itself $complaints times: $(journalctl -u mvm-hostd --no-pager -o cat | grep '^mvm-hostd: cannot' | sort | uniq -c)"
echo "seed $((seed % 32768)): $kills kills, $(($(audit_lines 'recovered interrupted=sha256') - interrupted)) of them in the middle of a plan, $(($(audit_lines 'sweep ') - swept)) things without a line swept by recovery, $failures failures"
exit $((failures > 0))
