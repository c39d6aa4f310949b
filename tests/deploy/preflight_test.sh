#!/bin/bash
# mvm-hostd.service does not start hostd without what isolation needs, says what is missing, and starts it by itself once it is
# there. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"
failures=0
check() {
    if "${@:2}" >/dev/null 2>&1; then echo "ok: $1"; else echo "FAILED: $1"; failures=$((failures + 1)); fi
}
pins=/etc/mvm/firecracker.sha256
jailer=/usr/libexec/mvm/firecracker/jailer
hostd_runs() { pgrep -x mvm-supervisor; }
hostd_does_not_run() { ! hostd_runs; }
said() { journalctl --no-pager -o cat -u mvm-hostd --since "@$since" | grep -F "$1"; }
# Starting fails, with those words; hostd was not there for a moment (its audit log has not grown).
refuses() {
    local lines
    lines=$(wc -l </var/lib/mvm/audit/log)
    since=$(date +%s)
    systemctl stop mvm-hostd
    check "hostd does not start: $1" bash -c '! systemctl start mvm-hostd'
    sleep 2
    check "nor later: $1" hostd_does_not_run
    check "not for a moment: $1" test "$(wc -l </var/lib/mvm/audit/log)" -le $((lines + 1)) # the stop
    check "it is said why: $1" said "$1"
    check "and how to mend it: $1" said "mend: "
}

prepare_node
if asks_for_no_kvm; then
    echo "skipped: there is no KVM in this VM, so its hostd does not ask"
    exit 0
fi
systemctl start mvm-hostd
check "hostd starts where nothing is missing" wait_until 30 hostd_answers

cp -p $pins $pins.kept
sed -i 's/^./x/' $pins
refuses "is not the one pinned"
mv $pins.kept $pins
check "it starts by itself once that is mended" wait_until 30 hostd_answers

chmod o+w $jailer
refuses "$jailer may be written by others"
chmod o-w $jailer
check "it starts by itself once that is mended too" wait_until 30 hostd_answers
systemctl stop mvm-hostd
exit $((failures > 0))
