#!/bin/bash
# Where a guest's memory is on its way to sleep and back: a canary that stands in it is in its VMM, and while it is written and sealed in the memory file
# system and in the snapshot worker; never on a disk, in swap, in a log or in any other process. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
canary=$memory/canary  # a file: the bytes never come into this script's memory
swap=$memory/swap

leave_hunt() {
    local status=$?
    [ -z "${stopped:-}" ] || kill -CONT "$stopped" 2>/dev/null
    swapoff /dev/loop8 2>/dev/null
    losetup -d /dev/loop8 2>/dev/null
    (exit $status)
    leave_sleep
}
hunt() { "$here/key_hunt" "$canary" >"$scratch/hunted"; }
nowhere() { hunt && grep -q processes "$scratch/hunted" || { cat "$scratch/hunted"; return 1; }; }
# only_in COMM...: it is in the first, and in none but these.
only_in() {
    hunt
    grep -q " $1 mem " "$scratch/hunted" || { echo "not in $1"; return 1; }
    ! grep -vE "^[0-9]* ($(tr ' ' '|' <<<"$*")) |processes$" "$scratch/hunted"
}
# find_canary FILE
find_canary() {
    perl -e 'open(C, "<:raw", $ARGV[0]) or exit 2; read C, my $canary, 32; open(F, "<:raw", $ARGV[1]) or exit 1; my $last = "";
             while (sysread F, my $next, 1 << 20) { exit 0 if index($last . $next, $canary) >= 0; $last = substr($last . $next, -31) } exit 1' "$canary" "$1"
}
on_no_disk() {
    sync
    local file
    for file in "$snapshot_disk" "$disk" "$swap"; do
        find_canary "$file" && { echo "on the disk $file"; return 1; }
    done
    for file in $(find /var/log /var/lib/mvm/audit /var/lib/mvm/records /var/lib/mvm/journal /var/tmp /run/log /run/mvm -type f 2>/dev/null); do
        find_canary "$file" && { echo "in $file"; return 1; }
    done
    return 0
}

begin_sleep 256
has_doubles || { echo "skipped: the canary is the doubled guest's"; exit 0; }
trap leave_hunt EXIT
truncate -s 64M "$swap"
losetup /dev/loop8 "$swap"
mkswap /dev/loop8 >/dev/null
swapon /dev/loop8
start_empty
come_to 1 0 0 || give_up "one does not run"
instance=$(instances)
check "its guest writes" test "$(guest_says "$instance" "dirty 300")" = written
guest_says "$instance" canary | perl -ne 'chomp; print pack("H*", $_)' >"$canary"
check "the canary is 32 bytes" test "$(stat -c %s "$canary")" = 32
check "control: the search of files finds it" eval 'cp "$canary" /var/tmp/control; ! on_no_disk; status=$?; rm /var/tmp/control; [ $status = 0 ]'

come_to 0 0 1 || give_up "it does not fall asleep"
check "asleep, it is in no process" nowhere
check "and on no disk" on_no_disk
check "nor in memory" test -z "$(in_memory)"
come_to 1 0 0 || give_up "it does not wake"
wait_until 60 remembers "$instance" || failed "its memory: $(guest_says "$instance" memory)"
wait_until 20 eval '! pgrep -x mvm-pages'
check "awake, it is in its VMM and nowhere else" only_in firecracker
check "and on no disk" on_no_disk

# While the snapshot worker seals: it is stopped when memory was dumped.
snapshot_worker=$(pgrep -x -P "$hostd_pid" mvm-snapshot)
come_to 0 0 1 &
plan=$!
wait_until 30 dumped || failed "nothing is dumped"
stopped=$snapshot_worker
kill -STOP "$stopped"
# Firecracker goes on, and what is to be sealed waits.
check "it is dumped" wait_until 30 eval '[ -n "$(find "$memory_directory" -mindepth 2 -type f -name state -size +0)" ]'
check "while it is to be sealed, it is in its VMM, and at most in who seals" only_in firecracker mvm-snapshot
check "and on no disk" on_no_disk
kill -CONT "$stopped"
stopped=
wait $plan || failed "it does not fall asleep"
check "asleep again, it is in no process" nowhere
check "and on no disk" on_no_disk

# While it wakes: the page server is stopped.
come_to 1 0 0 &
plan=$!
wait_until 30 pgrep -x mvm-pages
stopped=$(pgrep -x mvm-pages)
kill -STOP "$stopped"
sleep 1
check "while it wakes, it is on no disk" on_no_disk
kill -CONT "$stopped"
stopped=
wait $plan || failed "it does not wake"
wait_until 60 remembers "$instance" || failed "its memory: $(guest_says "$instance" memory)"

reach_nothing || failed "it is not removed"
check "removed, it is in no process" nowhere
check "and on no disk" on_no_disk
stop_hostd
exit $((failures > 0))
