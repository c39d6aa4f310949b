#!/bin/bash
# agentd in its unit and in its sandbox: what happens to a node does not end it. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"
failures=0
check() {
    if "${@:2}" >/dev/null 2>&1; then echo "ok: $1"; else
        echo "FAILED: $1"
        tr -d '\n' </run/mvm-agentd/status.json
        journalctl --no-pager -u mvm-agentd -n 10
        failures=$((failures + 1))
    fi
}
main_pid() { systemctl show -P MainPID mvm-agentd; }
is_the_same() { [ "$(main_pid)" = "$pid" ] && kill -0 "$pid"; }
is_another() { [ "$(main_pid)" != 0 ] && [ "$(main_pid)" != "$pid" ]; }
says() { grep -q "$1" /run/mvm-agentd/status.json; }
shows() { grep -qx "$1" "/proc/$pid/status"; }
# An empty node, of one generation more: it comes to be so only if agentd reads, asks, and writes what it has seen.
comes_to_the_next() {
    next_generation
    echo "prune tenants=yes pools=yes" | projection "$work/agentd.projection" "$generation"
    want "$work/agentd.projection"
    wait_until 60 converged "$generation"
}

prepare_node
systemctl start mvm-hostd mvm-agentd
wait_until 60 hostd_answers
check "it comes to what is wanted" comes_to_the_next
pid=$(main_pid)
check "a filter holds" shows "Seccomp:.2"
check "it can gain nothing" shows "NoNewPrivs:.1"
check "it has no capability" shows "CapPrm:.0000000000000000"
check "its status is for anyone to read" test "$(stat -c '%a %U' /run/mvm-agentd/status.json)" = "644 mvm"

systemctl restart mvm-hostd
check "it goes on after a restart of hostd" comes_to_the_next
systemctl kill -s KILL mvm-hostd
check "it goes on after the death of hostd" comes_to_the_next
systemctl stop mvm-hostd
check "it says that hostd is gone" wait_until 60 says '"failed"'
systemctl start mvm-hostd
check "it goes on when hostd is back" comes_to_the_next
systemctl kill -s STOP mvm-agentd && sleep 1 && systemctl kill -s CONT mvm-agentd
check "it goes on after a stop and a continue" comes_to_the_next
cp -p /etc/mvm/node.policy "$work/node.policy" && echo "no policy" >/etc/mvm/node.policy
check "it says that the policy is none" wait_until 60 says "parse the policy"
rm /etc/mvm/node.policy
check "it says that the policy is gone" wait_until 60 says "No such file"
cp -p "$work/node.policy" /etc/mvm/node.policy
check "it goes on with the policy that came in its place" comes_to_the_next
head -c 4096 /dev/urandom >$desired/noise.projection
check "it says that a file is no projection" wait_until 60 says "noise.projection"
rm $desired/noise.projection
systemctl restart systemd-journald
check "it goes on after a restart of the journal" comes_to_the_next
check "nothing of that has ended it" is_the_same

cp -a /etc/mvm "$work/etc-mvm" && mv /etc/mvm /etc/mvm.old && mv "$work/etc-mvm" /etc/mvm
check "it is started again where its policy's directory is another" wait_until 60 is_another
check "and goes on" comes_to_the_next
systemctl stop mvm-agentd mvm-hostd
rm -rf /etc/mvm.old $desired/agentd.projection*
exit $((failures > 0))
