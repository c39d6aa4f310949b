# What the tests of this folder share, to be sourced on a node as root: snapshots on a disk of their own beside the volumes, and pools that sleep.
# shellcheck shell=bash
# shellcheck source=../storage/storage_lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/storage_lib.sh"

snapshots=/var/lib/mvm/snapshots
memory_directory=/var/lib/mvm/memory
guest_mib=64

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
files_of_snapshots() { find "$snapshots" -type f 2>/dev/null; }
in_memory() { find "$memory_directory" -mindepth 1 2>/dev/null; }
pages=$((guest_mib * 256))
whole_memory="checked=$pages of=$pages wrong=0"
remembers() { [ "$(guest_says "$1" memory)" = "$whole_memory" ]; }
