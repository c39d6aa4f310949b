#!/bin/bash
# What can go wrong below and beside a volume: a disk that is full or gives errors, a header that is damaged, a key that is not its own, a
# file that has gone, a device that somebody holds, a mapping that was left. Nothing that the guest was told was written is lost, nothing
# is formatted that has a record, and nothing stays mapped that has no line. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/storage_lib.sh"

below=mvm-test-below
leave_bad_day() {
    local status=$?
    [ -z "${holder:-}" ] || kill "$holder" 2>/dev/null
    works_again
    umount "$volumes" 2>/dev/null
    dmsetup remove --retry $below 2>/dev/null
    [ -z "${loop:-}" ] || losetup -d "$loop"
    (exit $status)
    leave_storage
}
# The disk below the volumes is one that can be made to fail.
begin_bad_day() {
    begin_storage
    trap leave_bad_day EXIT
    umount "$volumes"
    loop=$(losetup -f --show "$disk")
    sectors=$(blockdev --getsz "$loop")
    dmsetup create $below --table "0 $sectors linear $loop 0"
    mount /dev/mapper/$below "$volumes"
}
becomes() { dmsetup suspend --noflush --nolockfs $below && dmsetup load $below --table "0 $sectors $1" && dmsetup resume $below; }
fails() { becomes error; }
works_again() { [ -z "${sectors:-}" ] || becomes "linear $loop 0"; }
repaired() {
    umount "$volumes" && e2fsck -fy /dev/mapper/$below >/dev/null
    [ $? -lt 4 ] && mount /dev/mapper/$below "$volumes"
}
running() { wanted_data "$scratch/way.projection" 1 && reach "$scratch/way.projection"; }
stopped() { wanted_data "$scratch/way.projection" 0 && reach "$scratch/way.projection"; }
# One try: a plan that starts it, which is to fail with these words.
does_not_start() {
    wanted_data "$scratch/way.projection" 1
    make_plan "$scratch/way.projection" || return 1
    ! apply "$scratch/way.projection" && grep -q "$1" "$scratch/applied" || { cat "$scratch/applied"; return 1; }
}
reads() { [ "$(guest_says "$instance" "read data 4096 ${#canary}")" = "$canary" ]; }
fill_disk() { dd if=/dev/zero of="$volumes/filler" bs=64k 2>/dev/null; dd if=/dev/zero of="$volumes/filler2" bs=512 2>/dev/null; sync; }
# The first 2 MiB, of one file to another.
header() { dd if="$1" of="$2" bs=1M count=2 conv=notrunc status=none; }

begin_bad_day
start_empty

echo "== a full disk"
fill_disk
check "a volume that does not fit is not made, and why is said" does_not_start 'No space left'
rm -f "$volumes"/filler*
check "and nothing of it is left" sound_volumes
check "once there is room it is made" running
instance=$(instances)
canary=canary-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
check "the guest writes" test "$(guest_says "$instance" "write data 4096 $canary")" = written
fill_disk
said=$(guest_says "$instance" "write data 8388608 more")
check "where the disk is full the guest is told ($said)" test "${said:0:11}" = "not written"
check "and reads what it wrote before" reads
rm -f "$volumes"/filler*
check "and writes again where there is room" test "$(guest_says "$instance" "write data 8388608 more")" = written
check "it is stopped" stopped
check "nothing is mapped" wait_until 5 nothing_mapped
check "it starts" running
check "what it was told was written is there" reads

echo "== a disk that fails"
fails
said=$(guest_says "$instance" "write data 12288 more")
check "the guest is told ($said)" test "${said:0:11}" = "not written"
stopped
check "it is stopped all the same" test -z "$(instances)"
check "and nothing is mapped" wait_until 5 nothing_mapped
check "it does not start" does_not_start 'failed + luksOpen'
check "and nothing is mapped" wait_until 5 nothing_mapped
works_again
stop_hostd
repaired || give_up "the disk does not come back"
start_with_identity || give_up "hostd does not start on the disk that came back"
check "when the disk works again it starts" running
check "what it was told was written before is there" reads
check "it is stopped" stopped

echo "== a damaged header"
file=$(volume_of "$instance")
header "$file" "$memory/header"
dd if=/dev/urandom of="$file" bs=4096 count=1 conv=notrunc status=none
check "one of its two copies is enough" running
check "and all is there" reads
check "it is stopped" stopped
dd if=/dev/urandom of="$file" bs=32K count=1 conv=notrunc status=none
damaged=$(head -c 2M "$file" | sha256sum)
check "without both it does not start, and why is said" does_not_start 'read the volume.s LUKS header'
check "nothing has written over it" test "$(head -c 2M "$file" | sha256sum)" = "$damaged"
check "and nothing is mapped" wait_until 5 nothing_mapped
header "$memory/header" "$file"
check "with its header back it starts" running
check "and all is there" reads
check "it is stopped" stopped

echo "== a key that is not its own"
mv "$memory/keys/acme-1" "$memory/acme-1"
head -c 32 /dev/urandom >"$memory/keys/acme-1"
check "it does not start, and why is said" does_not_start 'no keyslot opens with the key'
check "and nothing is mapped" wait_until 5 nothing_mapped
mv "$memory/acme-1" "$memory/keys/acme-1"

echo "== a file that has gone"
stop_hostd
mv "$file" "$memory/away"
start_with_identity || give_up "hostd does not start without the file"
check "the audit log says so" grep -q "missing volume $instance" /var/lib/mvm/audit/log
check "it does not start" does_not_start 'find the volume'
check "and no other is made in its place" test -z "$(find "$volumes" -type f)"
mv "$memory/away" "$file"
check "with its file back it starts" running
check "and all is there" reads

echo "== somebody holds the device"
dmsetup mknodes "$(device_of "$instance")"
sleep 1000 </dev/mapper/"$(device_of "$instance")" &
holder=$!
wanted_data "$scratch/way.projection" 0
make_plan "$scratch/way.projection"
apply "$scratch/way.projection"
check "it is not closed, and why is said" grep -q 'it is open 1 times; `mvm volume holders` as root names processes' "$scratch/applied"
check "root is told by whom it is held" test "$(mvm volume holders "$instance")" = "$holder sleep: descriptor 0"
node=/dev/mapper/$(device_of "$instance")
cat "$node" >"$memory/as-it-was"
mke2fs -q -F "$node"
mount "$node" /mnt
make_plan "$scratch/way.projection"
apply "$scratch/way.projection"
check "where it is mounted is said as well" grep -q 'it is open 2 times; mounted at /mnt; ' "$scratch/applied"
mvm volume holders "$instance" >"$scratch/holders"
check "and root is told of the process" grep -qx "$holder sleep: descriptor 0" "$scratch/holders"
check "and of the mount" grep -q ': mounted at /mnt$' "$scratch/holders"
umount /mnt
cat "$memory/as-it-was" >"$node"
sync
check "its line stands, as it does" test "$(mvm state | grep -c "^luksOpen $instance")" = 1
check "and so does the rest of the state" sound_volumes
kill $holder
wait $holder 2>/dev/null
check "then it is" stopped
check "nothing is mapped" wait_until 5 nothing_mapped
check "and nobody holds what is not open" bash -c "! mvm volume holders $instance"
rm -f "/dev/mapper/$(device_of "$instance")"

echo "== mappings that were left"
stop_hostd
cryptsetup open --key-file "$(key_file acme 1)" "$file" "$(device_of "$instance")" || give_up "cryptsetup does not open it"
dmsetup create mvm-data-acme.db.00000bad --table "0 8 zero"
start_with_identity || give_up "hostd does not start with mappings that were left"
check "one of ours is closed" test "$(dmsetup ls | grep -c "$(device_of "$instance")")" = 0
check "one that is not ours is left alone, whatever its name" dmsetup status mvm-data-acme.db.00000bad
dmsetup remove --retry mvm-data-acme.db.00000bad
check "it starts" running
check "and all is there" reads
stop_hostd
mv "$file" "$memory/away"
cp -p "$memory/away" "$file"
start_with_identity || give_up "hostd does not start with a volume that is not the one that is mapped"
check "where the file is not the one that is mapped, the microVM is ended" test -z "$(instances)$(pgrep -x firecracker)"
check "and nothing is mapped" wait_until 5 nothing_mapped
check "it starts on its own file" running
check "and all is there" reads

wanted_nothing "$scratch/way.projection"
check "all of it is destroyed" reach "$scratch/way.projection"
check "and nothing is left" sound_volumes
check "the audit log is sound" mvm audit verify
stop_hostd
exit $((failures > 0))
