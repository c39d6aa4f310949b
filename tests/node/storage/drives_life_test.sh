#!/bin/bash
# Drives for secrets and configuration, in the units as they are installed: their content comes sealed, agentd carries it, the drives are in memory and in
# their jail, read-only, and nobody else reads them; they outlive hostd, go when the microVM stops or sleeps, and are made anew when it wakes. What is secret
# is marked, and is on no disk and in no process that should not have it, at any stage. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

drives=/var/lib/mvm/drives
mark=$memory/marked  # a file; the bytes never come into this script's memory

# wanted_drives RUNNING SLEEPING: acme/db with both drives, and what that takes, sealed.
wanted_drives() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=$secrets"
        echo "pool acme/db image=sha256:$image vcpus=1 mem=64 data=0 running=$1 warm=0 sleeping=$2 pinned=no critical=no compression=zstd config=$config"
    } | projection "$scratch/drives.projection" "$generation"
    rm -f $sealed/*
    drive "$scratch/drives.projection"
}
seal_content() {
    mvm key seal --offer $offer --identity "$identity" --node $node_name --starts "$memory/starts" --signer "$work/coordinator.pem" \
        --tenant acme "--$1" "$memory/$1" --generation "$generation" --out $sealed
}
seal_both() { seal_content secrets && seal_content config; }
drive_of() { echo "$drives/${instance//\//.}.$1" | sed 's|\.i-|.|'; }
hunt() { "$here/key_hunt" "$mark" >"$scratch/hunted"; }
nowhere() { hunt && grep -q processes "$scratch/hunted" || { cat "$scratch/hunted"; return 1; }; }
on_no_disk() {
    sync
    journalctl --no-pager -o export | grep -qaF -f "$mark" && { echo "in the journal"; return 1; }
    grep -rlaF -D skip -f "$mark" /var/lib/mvm/records /var/lib/mvm/audit /var/lib/mvm/journal /var/lib/mvm/snapshots /var/lib/mvm/jails/*/*/firecracker/*/root/run /var/lib/mvm-agentd /var/log /var/tmp /etc /run/mvm /run/mvm-agentd && return 1
    return 0
}
# guest_reads DRIVE OFFSET: what stands there is the mark. By files, so that it comes into nobody's variables.
guest_reads() { guest_says "$instance" "read $1 $2 32" | head -c 32 | cmp -s - "$mark"; }
offset_in() { grep -abo -F -f "$mark" "$1" | head -1 | cut -d: -f1; }
gone() { [ -z "$(find "$drives" -type f)" ]; }

begin_keys
has_doubles || { echo "skipped: what a guest reads is asked of the doubles"; exit 0; }
mkdir "$memory/files"
{ printf marked-it-; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 22; } >"$mark"
cp "$mark" "$memory/files/token"
echo "verbose=yes" >"$memory/settings"
secrets=$(mvm drive pack "$memory/files" --out "$memory/secrets")
config=$(mvm drive pack "$memory/settings" --out "$memory/config")

wanted_drives 1 0
check "without its content it waits, and says for what" grep -q 'it waits for secrets' $status_file
check "nothing runs" test -z "$(instances)"
check "both are sealed" seal_both
check "it runs" wait_until 60 runs acme/db 1
instance=$(instances)
secret_drive=$(drive_of secrets) config_drive=$(drive_of config)
check "there is a drive each" test "$(find "$drives" -type f | sort | tr '\n' ' ')" = "$config_drive $secret_drive "
check "in memory that is never swapped" test "$(stat -f -c %T "$drives")" = ramfs
uid=$(stat -c %u "$secret_drive")
check "its microVM's user has it" test "$uid" = "$(stat -c %u "/proc/$(pgrep -x firecracker)")"
check "who may read it, and the storage worker wipe it" test "$(stat -c '%a %G' "$secret_drive")" = "460 mvm-storage"
for user in mvm mvm-net mvm-snapshot mvm-hostd nobody; do
    check "$user does not read it" eval "! setpriv --reuid=$user --regid=$user --clear-groups cat '$secret_drive' 2>/dev/null" 2>/dev/null
done
check "e2fsck finds nothing wrong with either" eval 'cp "$config_drive" "$memory/look" && e2fsck -fn "$memory/look" >/dev/null && cp "$secret_drive" "$memory/look" && e2fsck -fn "$memory/look" >/dev/null'
check "the file is there, and what it says" eval 'debugfs -R "cat /token" "$memory/look" 2>/dev/null | cmp -s - "$mark"'
at=$(offset_in "$secret_drive")
check "the guest reads it" guest_reads secrets "$at"
check "and can write neither" eval '[[ $(guest_says "$instance" "write secrets 4096 x") == "not written"* ]] && [[ $(guest_says "$instance" "write config 4096 x") == "not written"* ]]'
rm -f "$memory/look"
check "it is in no process" nowhere
check "and on no disk" on_no_disk

pid=$(pgrep -x firecracker)
systemctl restart mvm-hostd
wait_until 60 hostd_answers || give_up "hostd does not answer after a restart"
check "after a restart of hostd the microVM is the same" test "$(pgrep -x firecracker)" = "$pid"
check "and reads it" guest_reads secrets "$at"

wanted_drives 0 1
seal_key acme 1 >/dev/null
check "it falls asleep" wait_until 90 eval 'mvm state | grep -q "^snapshot $instance "'
check "and its drives are gone" gone
check "it is in no process" nowhere
check "and on no disk" on_no_disk
wanted_drives 1 0
seal_key acme 1 >/dev/null
sleep 1
check "without its content it does not wake" test -z "$(instances)"
check "both are sealed" seal_both
check "it wakes" wait_until 90 runs acme/db 1
check "and reads the drive that was made anew" wait_until 30 guest_reads secrets "$at"

# Another content: a rolling change, one instance at a time.
echo "verbose=no" >"$memory/settings"
rm -f "$memory/config"
config=$(mvm drive pack "$memory/settings" --out "$memory/config")
wanted_drives 1 0
seal_both >/dev/null

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "with the microVM its drives go" wait_until 10 gone
check "it is in no process" nowhere
check "and on no disk" on_no_disk
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
