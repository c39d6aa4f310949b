#!/bin/bash
# A root file system on real dm-verity, through hostd: one device for all microVMs of an image, gone with the last of them, whoever dies;
# and a byte that is wrong, which is an I/O error in the guest and a finding for whoever runs the node. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/survive_lib.sh"

filed() { echo "/var/lib/mvm/images/$image"; }
device() { echo "mvm-image-$image"; }
mapped() { dmsetup ls | grep -c '^mvm-image-'; }
loops() { losetup -ln -O BACK-FILE | grep -c '/mvm/images/'; }
nothing_mapped() { [ "$(mapped)" = 0 ] && [ "$(loops)" = 0 ]; }
guest_says() { echo "$2" | nc -U -W 1 -w 15 "$(guest_socket "$1")"; }
jail_of() { echo "$jails/${1%/*}/firecracker/${1##*/}/root"; }
# flip OFFSET: one bit of the rootfs on the disk.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$1" -N1 "$(filed)/rootfs")
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$(filed)/rootfs" bs=1 seek="$1" conv=notrunc,fsync status=none
}

begin_survive
modprobe -a loop dm_mod dm_verity
has_doubles || { echo "skipped: what a guest reads is asked of the doubles"; exit 0; }
start_hostd || give_up "hostd does not start"
reach_nothing || give_up "what stood before is not removed"
check "nothing is mapped" nothing_mapped

wanted "$scratch/two.projection" 2 1 0
reach "$scratch/two.projection" || { cat "$scratch/applied" "$hostd_log"; give_up "a plan does not run"; }
check "three microVMs share one device" test "$(mapped) $(loops)" = "1 2"
check "it is read-only" test "$(cat /sys/block/"$(basename "$(readlink -f "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor --separator : "$(device)")")")"/ro)" = 1
check "its root hash is the manifest's" test "$(dmsetup table "$(device)" | awk '{ print "sha256:" $12 }')" = "$(sed -n 's/^rootfs root=\([^ ]*\) .*/\1/p' "$(filed)/manifest")"
check "veritysetup says that it is verified" bash -c "veritysetup status $(device) | grep -q 'status: *verified'"
instance=$(instances | head -1)
check "the jail has a node of it, to read, its uid's alone" test "$(stat -c '%F %a %u %Hr:%Lr' "$(jail_of "$instance")/rootfs")" = \
    "block special file 400 $((1000000 + 3 * 256 + $(slot_of "$instance"))) $(dmsetup info -c --noheadings -o major,minor --separator : "$(device)")"
check "no kernel is left in the jail" test ! -e "$(jail_of "$instance")/kernel"
check "the guest reads its root file system" test "$(guest_says "$instance" "read rootfs 0 18")" = "a root file system"
check "and cannot write to it" bash -c "! echo 'write rootfs 0 x' | nc -U -W 1 -w 15 '$(guest_socket "$instance")' | grep -qx written"

kill -KILL "$hostd_pid"
start_hostd || give_up "hostd does not start again"
check "it outlives hostd" test "$(mapped) $(loops)" = "1 2"
check "and so does what reads it" test "$(guest_says "$instance" "read rootfs 0 18")" = "a root file system"
wanted "$scratch/one.projection" 1 0 0
reach "$scratch/one.projection" || give_up "two of three are not stopped"
check "it stays for the last one" test "$(mapped) $(loops)" = "1 2"
reach_nothing || give_up "the last one is not stopped"
check "and goes with it" wait_until 5 nothing_mapped

# hostd and all its workers, killed at every mark around a jail and before the image is closed.
for side in before after; do
    for mark in 1 2 3 4 5 6 7 8 9 10; do
        stop_hostd
        start_hostd "$side:$mark" || give_up "hostd does not start"
        wanted "$scratch/one.projection" 1 0 0
        reach "$scratch/one.projection"
        reach_nothing
        hostd_is_gone || break
        start_hostd || give_up "hostd does not come back after $side:$mark"
        sound >"$scratch/sound" || failed "$side:$mark: $(cat "$scratch/sound")"
        [ "$(mapped)" = "$([ "$(instances | wc -l)" = 0 ] && echo 0 || echo 1)" ] || failed "$side:$mark: $(mapped) mapped, and $(instances | wc -l) instances"
        reach_nothing || failed "$side:$mark: what was left is not removed"
    done
done
check "after all those kills nothing is mapped" wait_until 5 nothing_mapped

dmsetup create "$(device)" --table '0 2048 zero'
wanted "$scratch/one.projection" 1 0 0
check "a device of that name that is not ours is not used" bash -c "! mvm plan make --projection '$scratch/one.projection' >'$scratch/plan' 2>/dev/null || ! mvm plan apply '$scratch/plan' --projection '$scratch/one.projection'"
check "nor removed" test "$(dmsetup table "$(device)")" = "0 2048 zero "
dmsetup remove "$(device)"

flip 4196
wanted "$scratch/one.projection" 1 0 0
reach "$scratch/one.projection" || { cat "$scratch/applied"; give_up "a microVM does not start on a byte that nobody reads"; }
instance=$(instances)
check "the guest gets an I/O error where the byte is wrong" test "$(guest_says "$instance" "read rootfs 4096 10")" = "not read: Input/output error"
check "and nowhere else" test "$(guest_says "$instance" "read rootfs 0 18")" = "a root file system"
check "the kernel says so" bash -c "dmesg | grep -q 'verity.*data block 1 is corrupted'"
check "dmsetup says so" test "$(dmsetup status "$(device)" | awk '{ print $4 }')" = C
check "mvm image verify says so" bash -c "! mvm image verify"
wanted "$scratch/two.projection" 2 0 0
mvm plan make --projection "$scratch/two.projection" >"$scratch/plan" 2>"$scratch/made"
apply "$scratch/two.projection"
check "no other microVM is started on it" grep -q "a block that is wrong" "$scratch/applied"
check "the first one goes on" test "$(instances)" = "$instance"
stop_hostd
start_hostd || give_up "hostd does not start on a damaged image"
check "the audit log says so, once" test "$(audit_lines "damaged image sha256:$image")" = 1
reach_nothing || give_up "what runs of a damaged image is not stopped"
check "nothing is mapped then" wait_until 5 nothing_mapped
flip 4196
check "the image is sound again" mvm image verify

printf x | dd of="$(filed)/kernel" bs=1 conv=notrunc status=none
wanted "$scratch/one.projection" 1 0 0
mvm plan make --projection "$scratch/one.projection" >"$scratch/plan" 2>"$scratch/made"
apply "$scratch/one.projection"
check "a kernel that is not the manifest's is not started" grep -q "it is not the one that the image's manifest names" "$scratch/applied"
check "nothing of it is left" nothing_mapped
printf a | dd of="$(filed)/kernel" bs=1 conv=notrunc status=none
check "the kernel is sound again" mvm image verify
reach_nothing || give_up "what that plan left is not removed"
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
