#!/bin/bash
# MicroVMs live on, and answer, while hostd and agentd are restarted and killed; one that is killed is seen and comes back.
# Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"

# Pings from one guest to another until the file is gone, and notes what did not come back.
ping_on() {
    while [ -e "$scratch/pinging" ]; do
        guest_ping "$1" "$2" >>"$scratch/pings" || echo "no answer" >>"$scratch/pings"
        sleep 0.1
    done
}
as_before() {
    check "$1: the state is the same" test "$(state_digest)" = "$digest"
    check "$1: the microVMs are the same processes" diff <(microvms) "$scratch/microvms"
}
answers_again() { wait_until 100 hostd_answers || give_up "hostd does not answer again"; }

begin_with_units
wanted "$scratch/all.projection" 2 2 2
drive "$scratch/all.projection"
digest=$(state_digest)
microvms >"$scratch/microvms"
check "six microVMs run" test "$(wc -l <"$scratch/microvms")" = 6
from=$(instances | grep '^acme/db' | head -1)
to=$(instances | grep '^acme/web' | head -1)
address=10.240.3.$(slot_of "$to")
touch "$scratch/pinging"
ping_on "$from" "$address" &
pinger=$!
systemctl restart mvm-hostd && answers_again
as_before "hostd restarted"
systemctl kill -s KILL --kill-who=main mvm-hostd && sleep 1 && answers_again
as_before "hostd killed"
systemctl restart mvm-agentd && sleep 1
as_before "agentd restarted"
systemctl kill -s KILL mvm-agentd && sleep 2
as_before "agentd killed"
rm "$scratch/pinging"
wait "$pinger"
sort "$scratch/pings" | sed "s/[0-9.]*ms//" | uniq -c
replies=$(grep -c '^reply' "$scratch/pings")
others=$(grep -vc '^reply' "$scratch/pings")
check "all the while, each of $replies pings came back ($others did not)" test "$replies" -gt 10 -a "$others" = 0

ended=$(audit_lines 'ended jail')
kill -KILL "$(head -1 "$scratch/microvms" | cut -d' ' -f1)"
line_has_gone() { [ "$(audit_lines 'ended jail')" -gt "$ended" ]; }
check "a microVM that is killed loses its line" wait_until 50 line_has_gone
six_run() { [ "$(microvms | wc -l)" = 6 ] && [ "$(instances | wc -l)" = 6 ]; }
check "agentd brings it back" wait_until 150 six_run
check "the other five are the same processes" test "$(microvms | grep -cxFf "$scratch/microvms")" = 5
check "the state holds" sound
end_with_nothing
exit $((failures > 0))
