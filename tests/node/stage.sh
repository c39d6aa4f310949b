#!/bin/bash
# usage: stage.sh BUILD IMAGE
# Prints the disk image that carries what BUILD holds into a node VM: root/ is laid over its root before systemd starts, as a
# package would be installed; tests/ stays where it is, at /opt/mvm-stage/tests. Given MVM_FIRECRACKER_DIR, what is in there
# goes along, and every command in the VM is told by the same name where it is.
set -euo pipefail

build=$1 image=$2
work=$build/node
tree=$work/stage
disk=$work/stage.ext4

install_into() {
    DESTDIR=$1 cmake --install "$build" --strip "${@:2}" >"$work/install.log" 2>&1 || { cat "$work/install.log" >&2; return 1; }
}

# A library that the image lacks is told here, by name, rather than by the loader of a service in the VM.
check_libraries() {
    local file needed
    while IFS= read -r -d '' file; do
        needed=$(objdump -p "$file" 2>/dev/null | awk '$1 == "NEEDED" { print $2 }' | grep -vxF -f "$image/libraries" || true)
        [ -z "$needed" ] || { echo "stage: ${file#"$tree"} needs $needed, which tests/node/image.sh does not put into the node VM" >&2; return 1; }
    done < <(find "$tree" -type f -perm -u+x -print0)
}

carry_firecracker() {
    local dropin=$tree/root/etc/systemd/system/node-agent.service.d
    install -d "$tree/firecracker" "$dropin"
    install -m 0755 "$1/firecracker" "$1/jailer" "$tree/firecracker/"
    install -m 0444 "$1/vmlinux" "$1/rootfs.ext4" "$tree/firecracker/"
    # Which of the two fits is the VM's CPU's to say.
    cat >"$dropin/firecracker.conf" <<'CONF'
[Service]
Environment=MVM_FIRECRACKER_DIR=/opt/mvm-stage/firecracker
ExecStartPre=-/sbin/modprobe -q kvm_amd
ExecStartPre=-/sbin/modprobe -q kvm_intel
CONF
}

mkdir -p "$work"
exec 9>"$work/lock"
flock 9
rm -rf "$tree"
mkdir -p "$tree/root" "$tree/tests"
install_into "$tree/root" --prefix /usr
install_into "$tree" --prefix / --component node
check_libraries
[ -z "${MVM_FIRECRACKER_DIR:-}" ] || carry_firecracker "$MVM_FIRECRACKER_DIR"
size=$(du -sm --apparent-size "$tree" | cut -f1)
# A new file each time: a VM that is up may have the old one open.
mke2fs -q -F -t ext4 -O ^has_journal -m 0 -L mvm-stage -d "$tree" "$disk.new" "$((size + size / 4 + 16))M" >/dev/null
mv "$disk.new" "$disk"
echo "$disk"
