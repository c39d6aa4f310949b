#!/bin/bash
# What hostd's unit leaves the storage worker to reach by device-mapper: loop devices, and no disk of the host. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/storage_lib.sh"
begin_storage
sectors=8
root=$(lsblk -rno MAJ:MIN "$(findmnt -no SOURCE /)")
truncate -s 1M "$memory/file"
loop=$(losetup -f --show "$memory/file")
map() {
    local properties=(-p DevicePolicy=closed) line
    while read -r line; do properties+=(-p "$line"); done < <(grep '^DeviceAllow=' /usr/lib/systemd/system/mvm-hostd.service)
    systemd-run --quiet --wait --pipe "${properties[@]}" dmsetup create "$1" --noudevsync --table "0 $sectors linear $2 0"
}
check "a loop device can be mapped" map reach-loop "$(lsblk -rno MAJ:MIN "$loop")"
cannot_map() { ! map "$@"; }
check "the host's disk ($root) cannot" cannot_map reach-disk "$root"
check "and was not" bash -c "! dmsetup status reach-disk 2>/dev/null | grep -q linear"
dmsetup remove reach-disk 2>/dev/null
dmsetup remove --retry reach-loop
losetup -d "$loop"
exit $((failures > 0))
