#!/bin/bash
# systemd takes the units without a word, and each is at least as closed as it was made to be. Runs in the VM.
set -uo pipefail
failures=0
cd /usr/lib/systemd/system || exit 1
said=$(systemd-analyze verify mvm.slice mvm-instances.service mvm-hostd.service mvm-agentd.service mvm-vault.service 2>&1)
if [ -z "$said" ]; then echo "ok: systemd-analyze verify has nothing to say"; else echo "FAILED: systemd-analyze verify: $said"; failures=1; fi
for user in mvm mvm-hostd mvm-gate mvm-net mvm-vault; do
    if getent passwd "$user" >/dev/null; then echo "ok: there is a user $user"; else echo "FAILED: there is no user $user"; failures=1; fi
done
for wanted in "/var/lib/mvm 711 root mvm-hostd" "/run/mvm 750 root mvm" "/run/mvm-vault 755 mvm-vault mvm-vault" "/etc/mvm 755 root root"; do
    found=$(stat -c '%n %a %U %G' "${wanted%% *}")
    if [ "$found" = "$wanted" ]; then echo "ok: $wanted"; else echo "FAILED: '$found' is not '$wanted'"; failures=1; fi
done
# Unit and the most that its exposure may be, in tenths: what is open is said in the unit.
while read -r unit most; do
    if score=$(systemd-analyze security --no-pager --threshold="$most" "$unit" | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p') && [ -n "$score" ]; then
        echo "ok: $unit: exposure $score (at most $most tenths)"
    else
        echo "FAILED: $unit: exposure $score is above $most tenths"
        failures=1
    fi
done <<'UNITS'
mvm-instances.service 15
mvm-hostd.service 45
mvm-agentd.service 10
mvm-vault.service 10
UNITS
exit $failures
