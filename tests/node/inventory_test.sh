#!/bin/bash
# The inventory sees each kind of thing that could be left over, and nothing when nothing was. Runs on the host, with the VM up.
set -euo pipefail
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
node() { "$MVM_DEV" node "$@"; }
failures=0

node inventory "$data/before"
node exec --no-stdin sh -ec '
    modprobe loop; modprobe dm_mod; modprobe nf_tables
    ip link add left type dummy; ip addr add 10.9.9.1/24 dev left; ip link set left up
    ip rule add from 10.9.9.9 lookup 99; ip route add blackhole 10.8.0.0/16 table 99
    ip netns add left-ns
    nft add table inet left-table
    mkdir /sys/fs/cgroup/left-group
    touch /tmp/left-file; touch /tmp/left-owned; chown 70000:70000 /tmp/left-owned
    mkdir -p /run/left-mount; mount -t tmpfs left /run/left-mount
    truncate -s 1M /root/left-image; losetup /dev/loop7 /root/left-image
    systemd-run --quiet --unit left-unit sleep 1000
    echo 2 >/proc/sys/net/ipv4/conf/all/arp_ignore'
node inventory "$data/dirty"
node exec --no-stdin sh -ec '
    systemctl stop left-unit
    losetup -d /dev/loop7; rm /root/left-image; umount /run/left-mount; rmdir /run/left-mount; rm /tmp/left-file /tmp/left-owned
    rmdir /sys/fs/cgroup/left-group; nft delete table inet left-table; ip netns del left-ns; rmdir /run/netns 2>/dev/null || { umount /run/netns; rmdir /run/netns; }
    ip rule del from 10.9.9.9 lookup 99; ip route flush table 99; ip link del left; echo 0 >/proc/sys/net/ipv4/conf/all/arp_ignore
    udevadm settle'
node inventory "$data/after"

diff "$data/before" "$data/dirty" | sed -n 's/^> //p' >"$data/seen" || true
for line in 'link left' 'address left' 'iprule4 ' 'route4 blackhole' 'netns left-ns' 'nft table inet left-table' 'cgroup left-group' 'file f .*left-file' \
    'owned 70000 /tmp/left-owned' 'mount /run/left-mount' 'loop loop7 /root/left-image' 'process 0 sleep' 'cgroup system.slice/left-unit' 'sysctl net/ipv4/conf/all/arp_ignore=2'; do
    if grep -q "^$line" "$data/seen"; then echo "ok: sees $line"; else echo "FAILED: does not see $line"; failures=1; fi
done
if diff "$data/before" "$data/after"; then echo "ok: the same as before once all is gone"; else echo "FAILED: not the same as before"; failures=1; fi
exit $failures
