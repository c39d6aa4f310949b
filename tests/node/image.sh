#!/bin/bash
# Prints the directory that holds the node VM's image (root.ext4, vmlinuz, initrd, accel), building it first when there is none
# for this list of packages and these files. Needs root, mmdebstrap, e2fsprogs, busybox-static and g++.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mvm
suite=bookworm

# What a node needs besides the project's own files, and what the tests look at it with.
packages=(
    systemd systemd-sysv udev dbus kmod linux-image-cloud-amd64
    iproute2 nftables iputils-ping procps util-linux libcap2-bin
    libseccomp2 libcap-ng0 libmnl0 libnftnl11 libssl3 libcryptsetup12 libcurl4 libflatbuffers2 libstdc++6 libatomic1
    strace tcpdump ethtool openssl netcat-openbsd cryptsetup-bin e2fsprogs
)

key=$({ printf '%s\n' "$suite" "${packages[@]}"; cat "$0" "$here/agent.cc"; cd "$here/image" && tar -c --sort=name --mtime=@0 --owner=0 --group=0 .; } |
    sha256sum | cut -c1-16)
image=$cache/node-$key

# apt's view of the host, so that a mirror or a proxy that is set here is used for the VM too.
apt_sources() {
    local file
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        if grep -qs "$suite" "$file"; then echo "$file"; return; fi
    done
}

build_root() {
    local root=$1 work=$2 source
    apt-config dump Acquire | grep -i proxy >"$work/apt.conf" || true
    source=$(apt_sources)
    # INITRD=No: the kernel package builds no initrd of its own, ours is smaller and faster.
    INITRD=No mmdebstrap --quiet --mode=root --format=directory --variant=essential \
        --aptopt="$work/apt.conf" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$root" ${source:+"$source"} >"$work/mmdebstrap.log" 2>&1 ||
        { cat "$work/mmdebstrap.log" >&2; return 1; }
    g++ -std=c++23 -Wall -Wextra -Werror -O2 -static -s -o "$root/usr/local/sbin/node-agent" "$here/agent.cc"
    cp -r "$here/image/root/." "$root/"
    mkdir -p "$root/opt/mvm-stage"
    ln -sf /etc/systemd/system/node-agent.service "$root/etc/systemd/system/sysinit.target.wants/node-agent.service"
    # Nothing here may wake up while a test looks, and nothing may wait for a terminal or a network.
    local unit
    for unit in getty.target console-getty.service systemd-logind.service systemd-firstboot.service systemd-pstore.service \
        systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service \
        dpkg-db-backup.timer systemd-tmpfiles-clean.timer fstrim.timer e2scrub_all.timer nftables.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    echo node >"$root/etc/hostname"
    ln -sf multi-user.target "$root/lib/systemd/system/default.target"
}

build_initrd() {
    local root=$1 work=$2 kernel=$3 module
    mkdir -p "$work"/initrd/{bin,dev,proc,root,modules}
    cp /bin/busybox "$work/initrd/bin/"
    cp "$here/image/init" "$work/initrd/init"
    # In the order in which they have to be loaded.
    for module in $(for name in virtio_pci virtio_blk; do
        chroot "$root" modprobe -S "$kernel" --show-depends "$name"
    done | awk '!seen[$2]++ { print $2 }'); do
        cp "$root/$module" "$work/initrd/modules/"
        basename "$module" >>"$work/initrd/modules/order"
    done
    (cd "$work/initrd" && find . | busybox cpio -o -H newc) >"$work/out/initrd" 2>/dev/null
}

# KVM is used where a guest really runs under it: /dev/kvm alone does not say so.
probe_accel() {
    local out=$1
    [ -w /dev/kvm ] || { echo tcg; return; }
    if timeout 10 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -nic none -display none -no-reboot \
        -kernel "$out/vmlinuz" -initrd "$out/initrd" -append "console=ttyS0 quiet mvm.probe" -serial stdio </dev/null 2>/dev/null |
        grep -q mvm-probe-ok; then echo kvm; else echo tcg; fi
}

# The answer holds for one machine and one kernel of it, so it is not part of the image's key.
accel() {
    local file
    file=$image/accel-$({ uname -r; cat /etc/machine-id /proc/sys/kernel/random/boot_id; qemu-system-x86_64 --version; } 2>/dev/null |
        sha256sum | cut -c1-16)
    [ -s "$file" ] || { probe_accel "$image" >"$file.$$" && mv "$file.$$" "$file"; }
    cp "$file" "$image/accel.$$" && mv "$image/accel.$$" "$image/accel"
}

build() {
    local kernel
    echo "node image: building (about 40 s, once)" >&2
    work=$(mktemp -d "$cache/build.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/out"
    build_root "$work/root" "$work"
    kernel=$(ls "$work/root/lib/modules")
    cp "$work/root/boot/vmlinuz-$kernel" "$work/out/vmlinuz"
    build_initrd "$work/root" "$work" "$kernel"
    find "$work/root/usr/lib" -name '*.so*' -printf '%f\n' | sort -u >"$work/out/libraries"
    mke2fs -q -F -t ext4 -E lazy_itable_init=1 -L node-root -d "$work/root" "$work/out/root.ext4" 4G >/dev/null
    mv "$work/out" "$image"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
find "$cache" -maxdepth 1 -name 'node-*' -mtime +7 ! -path "$image" -exec rm -rf {} +
[ -d "$image" ] || build
touch "$image"
accel
echo "$image"
