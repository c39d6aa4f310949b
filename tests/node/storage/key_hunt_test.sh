#!/bin/bash
# Where a tenant's key is, on its whole way: in no process, no environment, no command line, no log and on no disk, but in who seals it and in
# the storage worker while it opens; never in agentd, which carries it. The key is marked, and never comes into this script's memory: what looks
# for it reads it from its file. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/keys_lib.sh"
swap=$memory/swap
cgroups=/sys/fs/cgroup/system.slice

new_swap() {
    rm -f "$swap"
    truncate -s 256M "$swap"
    losetup /dev/loop8 "$swap" && mkswap -q /dev/loop8 && swapon /dev/loop8
}
no_swap() {
    swapoff /dev/loop8
    losetup -d /dev/loop8
}
leave_hunt() {
    local status=$?
    no_swap 2>/dev/null
    let_swap 0
    systemctl stop in-the-open 2>/dev/null
    (exit $status)
    leave_keys
}
# let_swap MOST: of hostd and agentd, whose units let nothing of them go there.
let_swap() { for unit in mvm-hostd mvm-agentd; do systemctl set-property --runtime $unit MemorySwapMax="$1" 2>/dev/null; done; }
# to_swap UNIT: whatever of it may go there.
to_swap() { (echo 1G >"$cgroups/$1.service/memory.reclaim") 2>/dev/null; }
in_swap() { grep -qaF -f "$mark" "$swap"; }

begin_keys
trap leave_hunt EXIT
mark=$(key_file acme 1)  # the name of the file
{ printf marked-key-; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 21; } >"$mark"
check "the key is 32 bytes" test "$(stat -c %s "$mark")" = 32

check "before it is sealed, it is in no process" nowhere "$mark"
KEY_FILE=$mark bash -c 'KEY=$(cat "$KEY_FILE") exec sleep 60' &
in_the_open=$!
wait_until 10 grep -qx sleep /proc/$in_the_open/comm
hunt "$mark"
check "control: the hunt finds it in an environment" grep -q "^$in_the_open sleep environ raw" "$scratch/hunted"
check "control: and in memory" grep -q "^$in_the_open sleep mem raw" "$scratch/hunted"
kill $in_the_open
wait $in_the_open 2>/dev/null
new_swap || give_up "there is no swap"
systemd-run --quiet --unit=in-the-open --setenv=KEY_FILE="$mark" bash -c 'KEY=$(cat "$KEY_FILE") exec sleep 600'
wait_until 10 grep -qx sleep "/proc/$(systemctl show --property=MainPID --value in-the-open)/comm"
check "control: and in swap, where it is of who does not lock it" wait_until 20 eval 'to_swap in-the-open; in_swap'
systemctl stop in-the-open
no_swap
new_swap || give_up "there is no swap"
check "control: the search of files finds it" eval 'cp "$mark" /var/tmp/control && ! on_no_disk "$mark" >/dev/null && rm /var/tmp/control'

wanted_mixed "$scratch/mixed.projection" 1 1
drive "$scratch/mixed.projection"
check "while agentd waits for it, it is in no process" nowhere "$mark"

# Who seals holds it, for as long as its standard input has no end.
mkfifo "$memory/slow"
seal_slow() {
    mvm key seal --offer $offer --identity "$identity" --node $node_name --signer "$work/coordinator.pem" --tenant acme --version 1 \
        --generation "$generation" --out $sealed <"$memory/slow" >"$memory/sealing" 2>&1
}
seal_slow &
exec 9>"$memory/slow"
cat "$mark" >&9
found_in_mvm() { hunt "$mark"; only_in mvm; }
check "control: it is in who seals it, and in nothing else" wait_until 20 found_in_mvm

# Its envelope goes as far as a storage worker that does not take it.
storage=$(pgrep -xo mvm-storage)
kill -STOP "$storage"
accepted=$(audit_lines "submit .*accepted")
exec 9>&-
wait_until 20 test -s "$sealed/key.acme.1.$generation.sealed"
tail -c 64 "$sealed/key.acme.1.$generation.sealed" >"$memory/envelope"
in_agentd() { hunt "$memory/envelope"; grep -q ' mvm-agentd mem raw' "$scratch/hunted"; }
check "hostd has the plan" wait_until 30 eval '[ "$(audit_lines "submit .*accepted")" -gt "$accepted" ]'
check "control: agentd has the envelope in its memory" in_agentd
check "and then there is the key in no process" nowhere "$mark"

# The first moment at which the worker has it. What lets it keep out of swap is its memory, and not its unit alone.
let_swap infinity
"$here/key_hunt" "$mark" --at "$storage" >"$scratch/hunted" &
hunter=$!
kill -CONT "$storage"
while kill -0 $hunter 2>/dev/null; do
    to_swap mvm-hostd
    to_swap mvm-agentd
done
wait $hunter
check "what hostd had to give went to swap meanwhile" test "$(awk '/loop8/ { print $4 }' /proc/swaps)" -gt 0
check "and the key did not" eval '! in_swap'
no_swap  # what is in its file stays there; and hostd would not start again beside it
check "while it is opened, it is in the storage worker and in nothing else" only_in mvm-storage
check "the volume is open and the microVM runs" wait_until 60 runs acme/db 1
check "and then it is in no process" nowhere "$mark"

systemctl restart mvm-agentd
check "nor after a restart of agentd" nowhere "$mark"

# Core dumps go to a file through a pipe, which no limit of a process's stops; only that it is not dumpable does.
pattern=$(cat /proc/sys/kernel/core_pattern)
core=/var/tmp/core-of-key-hunt
echo "|/bin/dd of=$core status=none" >/proc/sys/kernel/core_pattern
KEY_FILE=$mark bash -c 'KEY=$(cat "$KEY_FILE") exec sleep 60' &
in_the_open=$!
wait_until 10 grep -qx sleep /proc/$in_the_open/comm
kill -ABRT $in_the_open  # a shell's child in the background ignores SIGQUIT
wait $in_the_open 2>/dev/null
check "control: a core dump has the key of who is dumpable" wait_until 20 grep -qaF -f "$mark" $core
rm -f $core
wanted_mixed "$scratch/mixed.projection" 0 1
drive "$scratch/mixed.projection"
storage=$(pgrep -xo mvm-storage)
wanted_mixed "$scratch/mixed.projection" 1 1
drive "$scratch/mixed.projection"
"$here/key_hunt" "$mark" --quit-at "$storage" >"$scratch/hunted" &
hunter=$!
seal_key acme 1 >/dev/null
wait $hunter
check "the worker is ended while it has the key" eval 'only_in mvm-storage && wait_until 10 test ! -e /proc/$storage'
check "and leaves no core dump" test ! -e $core
check "hostd comes back" wait_until 60 hostd_answers
for process in mvm-agentd mvm-hostd; do
    main=$(systemctl show --property=MainPID --value $process)
    kill -QUIT "$main"
    check "$process ends" wait_until 10 test ! -e "/proc/$main"
    check "and leaves none" test ! -e $core
done
echo "$pattern" >/proc/sys/kernel/core_pattern
wait_until 60 hostd_answers || give_up "hostd does not come back"
check "and then it is in no process" nowhere "$mark"
wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "nor when all is gone" nowhere "$mark"
check "it is not in swap" eval '! in_swap'
check "it is in no journal, no log, no file of mvm's and not below the volumes" on_no_disk "$mark"
exit $((failures > 0))
