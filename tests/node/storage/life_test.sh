#!/bin/bash
# The whole life of a data drive on real dm-crypt, through hostd: made, opened, written by the guest, kept over a stop, opened again,
# destroyed; Debian's cryptsetup agrees with it, and after it nothing of it is found on the raw disk below. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/storage_lib.sh"
canary=canary-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')

begin_storage
start_empty

wanted_data "$scratch/data.projection" 1
reach "$scratch/data.projection" || { cat "$scratch/applied" "$hostd_log"; give_up "a plan with a volume does not run"; }
instance=$(instances)
check "the state has it open" test "$(mvm state | grep -c "^volume $instance\|^luksOpen $instance")" = 2
node=$jails/${instance%/*}/firecracker/${instance##*/}/root/data
check "the jail has a node of the device, its uid's alone" test "$(stat -c '%F %a %u' "$node")" = "block special file 600 $((1000000 + 3 * 256 + $(slot_of "$instance")))"
check "and it is that device" test "$(stat -c '%Hr:%Lr' "$node")" = "$(dmsetup info -c --noheadings -o major,minor --separator : "$(device_of "$instance")")"
check "no other node of it is anywhere" test "$(find / -xdev -type b -path '*/jails/*' -exec stat -c '%Hr:%Lr' {} + | grep -cx "$(stat -c '%Hr:%Lr' "$node")")" = 1
check "the guest writes" test "$(guest_says "$instance" "write data 4096 $canary")" = written
check "the guest reads" test "$(guest_says "$instance" "read data 4096 ${#canary}")" = "$canary"
check "the table does not tell the key" bash -c "dmsetup table --showkeys '$(device_of "$instance")' | grep -q ' :64:logon:'"
check "the loop device is direct and clears itself" bash -c "losetup -ln -O DIO,AUTOCLEAR,BACK-FILE | grep -qE '^ *1 +1 .*/volumes/'"

wanted_data "$scratch/none.projection" 0
check "it is stopped" reach "$scratch/none.projection"
check "nothing is mapped then" wait_until 5 nothing_mapped
check "its volume stands" test "$(mvm state | grep -c "^volume $instance")" = 1
file=$(volume_of "$instance")
check "cryptsetup takes it for LUKS2" cryptsetup isLuks --type luks2 "$file"
cryptsetup luksDump "$file" >"$memory/dump"
check "with the cipher, the key and the sectors that it should have" test "$(grep -cE 'cipher: aes-xts-plain64|Key: +512 bits|sector: 4096' "$memory/dump")" = 3
check "and one keyslot" test "$(grep -cE '^  [0-9]+: luks2' "$memory/dump")" = 1
check "cryptsetup opens it with the tenant's key" cryptsetup open --key-file "$(key_file acme 1)" "$file" seen
dd if=/dev/mapper/seen bs=4096 skip=1 count=1 status=none | head -c ${#canary} >"$memory/read"
check "and reads what the guest wrote" test "$(cat "$memory/read")" = "$canary"
cryptsetup close seen
check "no other key opens it" bash -c "! cryptsetup open --key-file '$(key_file acme 2)' '$file' seen 2>/dev/null"

wanted_data "$scratch/data.projection" 1
check "it runs again" reach "$scratch/data.projection"
check "with the same volume" test "$(instances)" = "$instance"
check "and what was written is there" test "$(guest_says "$instance" "read data 4096 ${#canary}")" = "$canary"

uuid=$(cryptsetup luksUUID "$file")
wanted_nothing "$scratch/nothing.projection"
check "the raw disk has a LUKS header now" grep -qaF "$uuid" <(sync; cat "$disk")
check "all of it is destroyed" reach "$scratch/nothing.projection"
check "no file of it is left" test -z "$(find "$volumes" -type f)"
stop_hostd
umount "$volumes"
for what in "$canary" "$uuid"; do
    check "the raw disk has none of ${what:0:12}..." bash -c "! grep -qaF -- '$what' '$disk'"
done
check "nor of the key" bash -c "! grep -qaP -- '$(od -An -tx1 -v "$(key_file acme 1)" | tr -d ' \n' | sed 's/../\\x&/g')' '$disk'"
check "nor a LUKS header" bash -c "! grep -qaP -- 'LUKS\xba\xbe|SKUL\xba\xbe|aes-xts-plain64' '$disk'"
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
