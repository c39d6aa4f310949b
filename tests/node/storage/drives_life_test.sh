#!/bin/bash
# A pool with a secrets and a config drive through its whole life, in the units as they are installed: sealed by `mvm key`, carried by agentd, read by the
# guest, changed by a new projection, gone while its microVM sleeps and there again when it wakes, kept while hostd dies, and gone without a trace. Nobody
# but the microVM and the storage worker reads it, and no byte of it comes to a disk. The secret is marked, and never comes into this script's memory.
# Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/sleep_lib.sh"
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

drives=/var/lib/mvm/drives
mkdir -p "$memory/secrets" "$memory/config" "$memory/packed"
mark() { printf marked-secret-; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 18; }
# new_content KIND FILE: Sets `digest_of_KIND`.
new_content() {
    (umask 077 && mark >"$memory/$1/$2")
    rm -f "$memory/packed/$1"
    printf -v "digest_of_$1" %s "$(mvm drive pack "$memory/$1" --out "$memory/packed/$1")"
}
seal_content() {
    mvm key seal --offer "$offer" --identity "$identity" --node $node_name --starts "$memory/starts" --signer "$work/coordinator.pem" \
        --tenant acme "--$1" "$memory/packed/$1" --generation "$generation" --out $sealed >/dev/null
}
# wanted_drives RUNNING SLEEPING, and then all that it takes is sealed. With `must_wait`, agentd has to say before that it waits.
wanted_drives() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=$digest_of_secrets"
        echo "pool acme/web image=sha256:$image vcpus=1 mem=$guest_mib data=0 running=$1 warm=0 sleeping=$2 pinned=no critical=no compression=zstd config=${config:-$digest_of_config}"
    } | projection "$scratch/drives.projection" "$generation"
    rm -f $sealed/*
    drive "$scratch/drives.projection"
    grep -q 'it waits for secrets' $status_file || [ -z "${must_wait:-}" ] || failed "without its content it does not wait"
    seal_key acme 1 >/dev/null
    seal_content secrets
    seal_content config
}
web() { instances | grep '^acme/web/'; }
file_of() { local name=${1#*/}; echo "$drives/${1%%/*}.${name%/*}.${1##*/i-}.$2"; }
drives_are() { [ "$(find $drives -mindepth 1 | wc -l)" = "$1" ]; }
carries() { mvm state | grep -qF "$2 $1 digest=$3"; }
# reads INSTANCE KIND FILE: where the drive has that file the guest reads what is in it.
reads() {
    local at
    at=$(grep -abom1 -F -f "$memory/$2/$3" "$(file_of "$1" "$2")" | cut -d: -f1)
    [ -n "$at" ] || { echo "it is not in the drive"; return 1; }
    guest_says "$1" "read $2 $at 32" | tr -d '\n' >"$memory/said"
    cmp "$memory/said" "$memory/$2/$3"
}
# As e2fsprogs has it, of a copy that is in memory.
holds() {
    cp "$(file_of "$1" "$2")" "$memory/copy"
    e2fsck -fn "$memory/copy" >"$memory/fsck" 2>&1 || { cat "$memory/fsck"; return 1; }
    debugfs -R "cat $3" "$memory/copy" 2>/dev/null >"$memory/said"
    rm "$memory/copy"
    cmp "$memory/said" "$memory/$2/$3"
}

begin_keys
has_doubles || { echo "skipped: what a guest reads is asked of the doubles"; exit 0; }
check "drives are in memory alone" test "$(findmnt -no FSTYPE $drives)" = ramfs
check "nobody but the storage worker has the directory" test "$(stat -c '%U %a' $drives)" = "mvm-storage 700"
take_inventory "$scratch/before"

new_content secrets token
new_content config settings
must_wait=yes wanted_drives 1 0
check "it runs" wait_until 60 runs acme/web 1
first=$(web)
check "its secrets are what was signed" carries "$first" secrets "$digest_of_secrets"
check "and so is its config" carries "$first" config "$digest_of_config"
check "the drive is a file system with the secret in it" holds "$first" secrets token
check "and that of the config" holds "$first" config settings
check "the guest reads its secret" reads "$first" secrets token
check "the guest reads its config" reads "$first" config settings
check "it can write to neither" eval 'for kind in secrets config; do [[ "$(guest_says "$first" "write $kind 0 changed")" == "not written"* ]] || exit 1; done'

# Who reads it.
secret=$(file_of "$first" secrets)
uid=$(stat -c %u "$secret")
vmm=$(pgrep -u "$uid" | head -1)
check "it is its microVM's, to be read" test "$(stat -c %a "$secret") $((uid >= 1000000))" = "460 1"
as() { setpriv --reuid="$1" --regid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"; }
check "control: the storage worker's user reads it" as mvm-storage head -c 1 "$secret"
check "control: root sees it in the jail" test -s "/proc/$vmm/root/secrets"
for user in mvm mvm-hostd mvm-gate mvm-net mvm-snapshot mvm-pages mvm-guest nobody $((uid + 1)) "$uid"; do
    check "$user does not, where it lies" eval "! as $user head -c 1 $secret"
done
for user in mvm mvm-hostd mvm-storage mvm-gate mvm-net mvm-snapshot mvm-pages mvm-guest nobody $((uid + 1)); do
    check "$user does not, by the jail" eval "! as $user head -c 1 /proc/$vmm/root/secrets"
done
check "no mount of it is in the host's namespace" eval '! grep -q "/root/secrets" /proc/self/mountinfo'

# Where it is besides.
check "it is in no process, environment or command line, but at most in the VMM that read it" eval 'hunt "$memory/secrets/token"; grep -q processes "$scratch/hunted" && ! grep -v " firecracker mem \|processes$" "$scratch/hunted"'
check "control: the search of files finds it" eval 'cp "$memory/secrets/token" /var/tmp/control && ! on_no_disk "$memory/secrets/token" >/dev/null && rm /var/tmp/control'
check "it is in no journal, no log, no file and on no disk" on_no_disk "$memory/secrets/token"

systemctl kill -s KILL mvm-hostd
inode=$(stat -c %i "$secret")
wait_until 60 hostd_answers || give_up "hostd does not answer after it was killed"
check "hostd killed and back has the same drive" test "$(stat -c %i "$secret")" = "$inode"
check "and the same microVM" test "$(web)" = "$first"
check "whose guest reads it" reads "$first" secrets token

cp "$memory/secrets/token" "$memory/old"
new_content secrets token
wanted_drives 1 0
carries_new() { [ -n "$(web)" ] && runs acme/web 1 && carries "$(web)" secrets "$digest_of_secrets"; }
check "a new secret comes with the next projection" wait_until 90 carries_new
second=$(web)
check "the guest reads the new one" reads "$second" secrets token
check "the old one is in no drive" eval '! grep -rqF -f "$memory/old" $drives'
check "and in no process" nowhere "$memory/old"

wanted_drives 0 1
check "it sleeps" wait_until 120 eval '[ "$(sleepers | grep -c ^acme/web/)" = 1 ]'
check "and its secrets are gone" wait_until 10 eval '! ls $drives | grep -q secrets'
check "from every process" nowhere "$memory/secrets/token"
check "and they are on no disk" on_no_disk "$memory/secrets/token"
config=none wanted_drives 1 0
check "without its config it is not woken" wait_until 60 grep -q "failed + jail $second .*another set of drives" /var/lib/mvm/audit/log
check "and sleeps on" test "$(sleepers)" = "$second"
wanted_drives 1 0
check "it wakes" wait_until 120 runs acme/web 1
check "the same" test "$(web)" = "$second"
check "with its secret" reads "$second" secrets token
check "and its config" reads "$second" config settings

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "no drive is left" wait_until 30 drives_are 0
check "nor is the secret in a process" nowhere "$memory/secrets/token"
check "nor on a disk" on_no_disk "$memory/secrets/token"
check "the audit log is sound" mvm audit verify
rm -f $sealed/*
same_inventory "the host is as it was"
exit $((failures > 0))
