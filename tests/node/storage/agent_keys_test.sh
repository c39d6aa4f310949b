#!/bin/bash
# agentd carries the keys of its instances, in the units as they are installed: what `mvm key seal` sealed to hostd's offer lies in a directory,
# agentd takes it along, and the volume is open in the jail. What has no key waits, says for which, and keeps nothing else from converging. A node
# without an identity runs, too. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

begin_keys

check "agentd writes hostd's offer for whoever seals" wait_until 30 test -s $offer
mvm key offer "$memory/offer" >/dev/null
check "and it is the one that hostd makes" cmp $offer "$memory/offer"
check "it is the node's, by its identity" trusted
check "systemd has it for hostd" test -n "$(sees_identity systemd)"
for process in mvm-supervisor mvm-gate mvm-net mvm-storage mvm-snapshot mvm-jail mvm-guest mvm-agentd; do check "$process does not find it" test -z "$(sees_identity $process)"; done

wanted_mixed "$scratch/mixed.projection" 1 1
drive "$scratch/mixed.projection"
check "what needs no key runs" test "$(instances)" = "$(instances | grep '^acme/web/')"
check "what needs one waits, and says for which" grep -q 'it waits for key acme/1, sealed for generation' $status_file
check "a program reads it, too" grep -Pzq '"missing": \[\s*"key acme/1"\s*\]' $status_file

check "the key is sealed" seal_key acme 1
check "agentd notices, and takes it along" wait_until 60 runs acme/db 1
instance=$(instances | grep '^acme/db/')
node=$jails/acme/db/firecracker/${instance##*/}/root/data
check "the jail has its drive" test "$(stat -c %F "$node")" = "block special file"
check "the drive is the open volume" test "$(stat -c "%Hr:%Lr" "$node")" = "$(dmsetup info -c --noheadings -o major,minor --separator : "$(device_of "${instance:-none}")")"
check "the guest writes and reads" eval '[ "$(guest_says "$instance" "write data 4096 hello")" = written ] && [ "$(guest_says "$instance" "read data 4096 5")" = hello ]'
check "nothing is missed any more" wait_until 30 grep -q '"missing": \[\]' $status_file

systemctl restart mvm-hostd
wait_until 60 hostd_answers || give_up "hostd does not answer after a restart"
check "after a restart hostd's offer is another" wait_until 30 eval "! cmp $offer '$memory/offer'"
check "which who seals trusts" trusted
check "and the one of before no longer" eval "! offer='$memory/offer' trusted"
wanted_mixed "$scratch/mixed.projection" 2 1
drive "$scratch/mixed.projection"
check "one more waits for a key of this start" grep -q 'it waits for key acme/1' $status_file
check "the one that runs goes on" test "$(instances | grep '^acme/db/')" = "$instance"
rm -f $sealed/*
seal_key acme 2
sleep 1
check "a key of another version does not help" runs acme/db 1
seal_key acme 1
check "the right one does" wait_until 60 runs acme/db 2

take_identity_away
systemctl restart mvm-hostd
wait_until 60 hostd_answers || give_up "hostd does not answer without identity"
check "without identity there is no offer" wait_until 30 eval "! test -e $offer"
check "and mvm says so" eval "grep -q 'no identity' <<<\"\$(mvm key offer '$memory/none' 2>&1)\""
wanted_mixed "$scratch/mixed.projection" 3 2
drive "$scratch/mixed.projection"
check "what needs no key runs there, too" runs acme/web 2
check "and the rest says why it waits" grep -q 'hostd has no identity' $status_file

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "nothing is left mapped" wait_until 10 nothing_mapped
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
