# What the tests of this folder share, to be sourced on a node as root: snapshots on a disk of their own beside the volumes, and pools that sleep.
# shellcheck shell=bash
# shellcheck source=../storage/storage_lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/storage_lib.sh"

snapshots=/var/lib/mvm/snapshots
snapshot_disk=$memory/snapshot-disk  # in memory, so that nothing else is on the disk; a test that needs more room than that names another
memory_directory=/var/lib/mvm/memory
guest_mib=64

leave_sleep() {
    local status=$?
    systemctl stop mvm-agentd mvm-hostd
    [ -z "$hostd_pid" ] || kill -KILL "$hostd_pid" 2>/dev/null
    hostd_pid=
    rm -f "$memory_directory/filler"
    umount "$snapshots" 2>/dev/null
    rm -f "$snapshot_disk"
    (exit $status)
    leave_storage
}
# begin_sleep MIB: as begin_storage, with the snapshots on a disk of that size, so that it can be filled, and all of it looked through.
begin_sleep() {
    begin_storage
    trap leave_sleep EXIT
    truncate -s "$1M" "$snapshot_disk"
    mke2fs -q -F -t ext4 -m 0 "$snapshot_disk"
    install -d -m 0700 -o mvm-snapshot -g mvm-snapshot "$snapshots"
    mount -o loop "$snapshot_disk" "$snapshots"
    rmdir "$snapshots/lost+found"
    chown mvm-snapshot:mvm-snapshot "$snapshots"
    chmod 0700 "$snapshots"
}

# wanted_asleep FILE RUNNING WARM SLEEPING: acme/db with a data drive.
wanted_asleep() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=none"
        echo "pool acme/db image=sha256:$image vcpus=1 mem=$guest_mib data=$data_mib running=$2 warm=$3 sleeping=$4 pinned=no critical=no compression=zstd config=none"
    } | projection "$1" "$generation"
}
# come_to RUNNING WARM SLEEPING: in as many plans as that takes.
come_to() {
    wanted_asleep "$scratch/sleep.projection" "$@"
    for _ in 1 2 3 4 5 6; do
        make_plan "$scratch/sleep.projection" || { cat "$scratch/made"; return 1; }
        [ "$(statements "$scratch/plan")" != 0 ] || return 0
        apply "$scratch/sleep.projection" || { cat "$scratch/applied"; return 1; }
    done
    return 1
}
sleepers() { mvm state | sed -n 's/^snapshot \([^ ]*\) .*/\1/p'; }
files_of_snapshots() { find "$snapshots" -type f ! -name base.snap 2>/dev/null; }
in_memory() { find "$memory_directory" -mindepth 1 2>/dev/null; }
# The VMM has written its state; held, so that its memory is read, or it goes on to write that too.
dumped() { [ -n "$(find "$memory_directory" -mindepth 2 -type f -name state -size +0)" ] && [ -n "$(find "$memory_directory" -mindepth 2 \( -name hold -o -name memory \))" ]; }
pages=$((guest_mib * 256))
whole_memory="checked=$pages of=$pages wrong=0"
# What must hold in any state: what sleeps has one file and nothing else, nor has a base, what runs has none, and nothing of anyone else is in memory.
sound_sleep() {
    local state=$scratch/state files
    mvm state >"$state" 2>&1 || { echo "no state: $(cat "$state")"; return 1; }
    files=$(cd "$snapshots" && find . -type f | sed 's|^\./||; s|\.snap$||' | sort)
    [ "$(sed -n 's/^snapshot \([^ ]*\) .*/\1/p; s|^base \([^ ]*\) .*|\1/base|p' "$state" | sort)" = "$files" ] || { echo "files: $files, and the state: $(cat "$state")"; return 1; }
    local directory instance
    for directory in "$memory_directory"/*; do
        [ -e "$directory" ] || continue
        instance=${directory##*/}
        grep -q "^jail ${instance%.*}" <(sed "s|^jail \([^/]*\)/\([^/]*\)/i-|jail \1.\2.|" "$state") || { echo "$directory, and the state: $(cat "$state")"; return 1; }
        [ ! -e "$directory/memory" ] && [ ! -e "$directory/hold" ] || { echo "what was dumped of $instance is left"; return 1; }
    done
}
woken() { mvm state | grep -q "^jail $1 .*boot=snapshot:"; }
# remembers INSTANCE: which was woken.
remembers() { [ "$(guest_says "$1" memory)" = "$whole_memory" ]; }
