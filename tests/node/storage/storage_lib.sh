# What the tests of this folder share, to be sourced on a node as root: volumes on a disk of their own, an identity for the node, and keys
# that are sealed to it as a coordinator would.
# shellcheck shell=bash
# shellcheck source=../survive/survive_lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/survive_lib.sh"

volumes=/var/lib/mvm/volumes
data_mib=16
memory=$(mktemp -d /run/storage-XXXXXX)  # for what must not be on the disk because a test looked at it
disk=$memory/disk

leave_storage() {
    local status=$?
    [ -z "$hostd_pid" ] || kill -KILL "$hostd_pid" 2>/dev/null
    hostd_pid=
    systemctl stop mvm-agentd mvm-hostd  # which hold the volumes' directory
    umount "$volumes" 2>/dev/null
    rm -rf "$memory"
    (exit $status)
    leave_node
}

# The volumes on a small disk, so that all of it can be looked through. The file of it is $disk.
begin_storage() {
    begin_survive
    trap leave_storage EXIT
    modprobe -a loop dm_mod dm_crypt
    truncate -s 128M "$disk"
    mke2fs -q -F -t ext4 "$disk"
    mkdir -p "$volumes" "$memory/keys" "$memory/credentials"
    mount -o loop "$disk" "$volumes"
    rmdir "$volumes/lost+found"
    head -c 32 /dev/urandom >"$memory/identity"
    for key in acme-1 acme-2; do (umask 077 && head -c 32 /dev/urandom >"$memory/keys/$key"); done
}

# hostd takes its identity away once it has read it.
start_with_identity() {
    install -m 0600 "$memory/identity" "$memory/credentials/mvm-identity"
    CREDENTIALS_DIRECTORY=$memory/credentials start_hostd "$@"
}
# hostd runs, and nothing stands.
start_empty() {
    start_with_identity || give_up "hostd does not start"
    reach_nothing || give_up "what stood before is not removed"
}

apply() { as_root_of_agent "$here/apply_sealed" "$scratch/plan" "$1" "$work/coordinator.pem" "$memory/keys" >"$scratch/applied" 2>&1; }
# hostd answers agentd's user alone; the keys are root's, so it is root that becomes it with those files at hand.
as_root_of_agent() { setpriv --reuid=mvm --regid=mvm --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search "$@"; }

# wanted_data FILE INSTANCES: acme/db with a data drive, so many running.
wanted_data() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=none"
        echo "pool acme/db image=sha256:$image vcpus=1 mem=128 data=$data_mib running=$2 warm=0 sleeping=0 pinned=no critical=no compression=none config=none"
    } | projection "$1" "$generation"
}

key_file() { echo "$memory/keys/$1-$2"; }
device_of() { local name=${1#*/}; echo "mvm-data-${1%%/*}.${name%/*}.${1##*/i-}"; }
volume_of() { ls "$volumes/$1".*; }
guest_says() { echo "$2" | nc -U -W 1 -w 15 "$(guest_socket "$1")"; }
mapped() { dmsetup ls | grep -c '^mvm-data-'; }
loops() { losetup -ln -O BACK-FILE | grep -c "/acme/db/"; }
nothing_mapped() { [ "$(mapped)" = 0 ] && [ "$(loops)" = 0 ]; }

# What must hold of volumes in any state that hostd shows: what has a line is there, and nothing else is.
sound_volumes() {
    local state=$scratch/state lines files
    mvm state >"$state" 2>&1 || { echo "no state: $(cat "$state")"; return 1; }
    lines=$(sed -n 's/^volume \([^ ]*\) .*/\1/p' "$state" | sort)
    files=$(cd "$volumes" && find . -type f | sed 's|^\./||; s|\.[0-9]*\.[a-z]*$||' | sort)
    [ "$lines" = "$files" ] || { echo "lines of volumes: $lines, and files: $files"; return 1; }
    local names
    names=$(for instance in $(sed -n 's/^luksOpen \([^ ]*\) .*/\1/p' "$state"); do device_of "$instance"; done | sort)
    [ "$names" = "$(dmsetup ls | sed -n 's/^\(mvm-data-[^[:space:]]*\).*/\1/p' | sort)" ] || { echo "lines of open ones: $names, and $(dmsetup ls)"; return 1; }
    udevadm settle
    [ "$(loops)" = "$(lines_of luksOpen "$state")" ] || { echo "$(loops) loop devices: $(losetup -l)"; return 1; }
}

# write_canaries: each running instance has one of its own, which it said was written. They lie in $memory/canaries.
write_canaries() {
    local instance canary
    for instance in $(instances); do
        canary=canary-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
        [ "$(guest_says "$instance" "write data 8192 $canary")" = written ] || return 1
        mkdir -p "$memory/canaries"
        echo "$canary" >"$memory/canaries/${instance//\//_}"
    done
}
# Every running instance that ever wrote one still reads it.
canaries_are_there() {
    local instance file said
    for instance in $(instances); do
        file=$memory/canaries/${instance//\//_}
        [ -e "$file" ] || continue
        said=$(guest_says "$instance" "read data 8192 39")
        [ "$said" = "$(cat "$file")" ] || { echo "$instance lost what it wrote: $said"; return 1; }
    done
}
