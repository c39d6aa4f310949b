#!/bin/bash
# The node VM is the machine that the design asks for. Runs in the VM.
set -uo pipefail
failures=0
expect() {
    if "${@:2}" >/tmp/platform.log 2>&1; then echo "ok: $1"; else echo "FAILED: $1"; cat /tmp/platform.log; failures=$((failures + 1)); fi
}

controllers_there() { for c in cpu memory pids io; do grep -qw "$c" /sys/fs/cgroup/cgroup.controllers || return 1; done; }
# The jailer's own step: it fails with EINVAL where the root is an initramfs.
pivot_works() {
    unshare -m sh -ec 'mkdir -p /run/pivot; mount -t tmpfs none /run/pivot; mkdir /run/pivot/old; cd /run/pivot; pivot_root . old; [ -d /old/proc/self ]' &&
        rmdir /run/pivot
}
crypt_works() { modprobe dm_crypt && modprobe dm_verity && [ -c /dev/mapper/control ]; }
bridge_nft_works() {
    unshare -n sh -ec 'ip link add br0 type bridge; ip tuntap add tap0 mode tap; ip link set tap0 master br0
        nft "table bridge x { set s { type ether_addr; }; chain c { type filter hook forward priority 0; policy drop; ether saddr @s accept; }; }"
        nft "table inet y { map m { type ifname : verdict; }; chain c { type filter hook forward priority 0; policy drop; iifname vmap @m; }; }"
        nft "table ip z { chain p { type nat hook postrouting priority 100; masquerade; }; }"
        nft "table netdev n { chain i { type filter hook ingress device tap0 priority 0; policy drop; }; }"'
}
kvm_works() { modprobe kvm_amd npt=1 && [ -c /dev/kvm ]; }

expect "systemd is up and no unit has failed" test "$(systemctl is-system-running)" = running
expect "the root is a real file system" test "$(stat -f -c %T /)" = ext2/ext3
expect "pivot_root works" pivot_works
expect "cgroup v2 has cpu, memory, pids and io" controllers_there
expect "Landlock is on" grep -qw landlock /sys/kernel/security/lsm
expect "device-mapper has crypt and verity" crypt_works
expect "bridges, taps, and nftables of every family that is used" bridge_nft_works
# Under TCG, AMD's virtualisation is emulated too; under KVM it is there where the host lends it.
if grep -qw svm /proc/cpuinfo; then expect "KVM, nested" kvm_works; else echo "skipped: KVM, nested: this CPU shows no SVM"; fi
rm -f /tmp/platform.log
exit $((failures > 0))
