#!/bin/bash
# Volumes on a pool of block devices that policy names, through hostd in its unit: a logical volume of root's is the device. Made, written, kept over a
# restart of hostd, destroyed and discarded; refused where there is no device for it. A device that is in use, or that the unit does not allow, is left out. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/storage_lib.sh"
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

canary=canary-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
drop_in=/etc/systemd/system/mvm-hostd.service.d/devices.conf
pool_disk=$memory/pool-disk

begin_keys
has_doubles || { echo "skipped: what a guest writes is asked of the doubles"; exit 0; }
truncate -s $((data_mib + 2))M "$pool_disk"
loop=$(losetup --find --show "$pool_disk")
dmsetup create disk1 --table "0 $((2048 * (data_mib + 2))) linear $loop 0"  # hostd's unit lets it at every loop device, but at none of these
device=/dev/mapper/disk1
mkdir -p /dev/mvm "${drop_in%/*}"
ln -sf "$device" /dev/mvm/disk1
clean_up() {
    rm -rf "$drop_in" /dev/mvm
    systemctl daemon-reload
    dmsetup remove disk1
    losetup -d "$loop"
}
cp /etc/mvm/node.policy "$scratch/policy"
name_devices() { sed "s|^end\$|disks discard=yes\ndevice mvm/disk1 mib=$1\nend|" "$scratch/policy" >/etc/mvm/node.policy; }
restart_hostd() { systemctl reset-failed mvm-hostd; systemctl restart mvm-hostd; wait_until 60 hostd_answers; }
says() { wait_until 30 eval "journalctl -u mvm-hostd --since=-60s | grep -q '$1'"; }

name_devices "$data_mib"
systemctl restart mvm-hostd
check "a device that the unit does not let hostd at is not used, and it says so" says "not used: .*DeviceAllow"
printf '[Service]\nDeviceAllow=/dev/mvm/disk1 rw\n' >"$drop_in"
systemctl daemon-reload
mke2fs -q -t ext4 "$device"
mount "$device" /mnt
check "nor one that is mounted" eval 'restart_hostd && says "not used: .*open for volumes a device that is in use"'
wanted_data "$scratch/data.projection" 1
drive "$scratch/data.projection"
seal_key acme 1 >/dev/null
check "no volume is made a file instead" wait_until 60 grep -q 'failed + volume .*find a device that is free' /var/lib/mvm/audit/log
check "and none is left" test -z "$(find "$volumes" -type f)"
umount /mnt
name_devices $((data_mib + 1))
check "nor one that is smaller than policy says" eval 'restart_hostd && says "not used: .*find room for mib=$((data_mib + 1))"'
name_devices "$data_mib"
check "hostd starts with a device that is free" restart_hostd
wanted_data "$scratch/data.projection" 1
drive "$scratch/data.projection"
seal_key acme 1 >/dev/null
check "over what is on it nothing is made" wait_until 60 grep -q 'failed + volume .*on which there is something' /var/lib/mvm/audit/log
fallocate --punch-hole --length 2MiB "$device"
wanted_data "$scratch/data.projection" 1
drive "$scratch/data.projection"
seal_key acme 1 >/dev/null
check "once it is wiped, it runs" wait_until 90 runs acme/db 1
instance=$(instances)
check "the guest writes" test "$(guest_says "$instance" "write data 4096 $canary")" = written
check "the header is a file" test "$(stat -c %s "$(volume_of "$instance")")" = $(((2 << 20) + 4096))
check "and no header is on the device" bash -c "! head -c 2M $device | grep -qa LUKS"
check "nor the canary" bash -c "! grep -qaF $canary $pool_disk"
systemctl kill -s KILL mvm-hostd
check "hostd comes back" wait_until 60 hostd_answers
check "with the same instance" test "$(instances)" = "$instance"
check "its device is hostd's again, for nobody else" bash -c "! mke2fs -q $device 2>/dev/null"
check "whose guest reads what it wrote" test "$(guest_says "$instance" "read data 4096 ${#canary}")" = "$canary"

wanted_data "$scratch/two.projection" 2
drive "$scratch/two.projection"
seal_key acme 1 >/dev/null
check "a second has no device, and agentd says so" wait_until 60 grep -q '2 volumes of more than 0 MiB, and the policy has 1 devices' $status_file
check "and the first runs on" runs acme/db 1

check "the disk holds what the guest wrote" test "$(($(stat -c %b "$pool_disk") * 512))" -gt 4096
wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "all of it is destroyed" wait_until 60 eval '[ -z "$(find "$volumes" -type f)" ]'
check "nothing is mapped" wait_until 10 nothing_mapped
check "and the device is discarded" test "$(($(stat -c %b "$pool_disk") * 512))" -le 4096
check "with no mark left" bash -c "! grep -qa mvmvolon $pool_disk"
check "the audit log is sound" mvm audit verify
systemctl stop mvm-hostd
clean_up
cp "$scratch/policy" /etc/mvm/node.policy
exit $((failures > 0))
