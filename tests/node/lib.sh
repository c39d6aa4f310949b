# For scripts that run on a node as root, to be sourced: makes the node one that can be worked with, and talks to it as agentd's
# user, the only one whose requests hostd takes. Where MVM_FIRECRACKER_DIR is not set, the microVMs are doubles.
# shellcheck shell=bash

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
firecracker_dir=${MVM_FIRECRACKER_DIR:-$here/../doubles}
work=/var/lib/mvm-node-test
jails=/var/lib/mvm/jails
desired=/var/lib/mvm-agentd/desired
node_name=node-7

# Their version says what they are.
has_doubles() { "$firecracker_dir/firecracker" --version | grep -q 'mvm-test-double'; }

as_agent() { setpriv --reuid=mvm --regid=mvm --clear-groups "$@"; }
agent_mvm() { as_agent mvm --no-colour "$@"; }

# Firecracker and its jailer, and an image that is filed as any other.
install_firecracker() {
    mkdir -p /usr/libexec/mvm/firecracker
    install -m 0755 "$firecracker_dir/firecracker" "$firecracker_dir/jailer" /usr/libexec/mvm/firecracker/
    (cd /usr/libexec/mvm/firecracker && sha256sum firecracker jailer) >/etc/mvm/firecracker.sha256
}

make_image() {
    local files=$work/image
    mkdir -p "$files"
    if [ -e "$firecracker_dir/vmlinux" ]; then
        cp "$firecracker_dir/vmlinux" "$files/kernel"
        cp "$firecracker_dir/rootfs.ext4" "$files/rootfs"
    else
        echo "a kernel" >"$files/kernel"
        echo "a root file system" >"$files/rootfs"
    fi
    truncate -s %4096 "$files/rootfs"
    [ "$(stat -c %s "$files/rootfs")" -gt 4096 ] || truncate -s 8192 "$files/rootfs"
    echo "a lock file" >"$work/flake.lock"
    mvm image manifest "$files" --flake path:test --lock-file "$work/flake.lock" >/dev/null
    image=$(mvm image import "$files")
    image=${image#sha256:}
}

make_policy() {
    [ -e "$work/coordinator.pem" ] || mvm keygen "$work/coordinator.pem" >"$work/coordinator.pub"
    cat >/etc/mvm/node.policy <<POLICY
# What may ever be on this node.
mvm-policy 1
node $node_name
cidr subnet=10.240.0.0/12
uids first=1000000 count=1048576
limits tenants=16 instances=64 vcpus=128 mem=65536 disk=65536
instance pids=64 io=0 pps=0 mbps=0
encrypt data=yes snapshots=yes
coordinator key=$(cat "$work/coordinator.pub")
end
POLICY
}

# with_end: what comes on stdin, and the `end` line that makes it a text.
with_end() {
    local above
    above=$(cat && echo .)
    above=${above%.}
    printf '%send sha256:%s\n' "$above" "$(printf %s "$above" | sha256sum | cut -d' ' -f1)"
}

tenant_line() { echo "tenant $1 net=$2 subnet=10.240.$2.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=0 secrets=none"; }
pool_line() { echo "pool $1 image=sha256:$image vcpus=1 mem=128 data=0 running=$2 warm=0 sleeping=0 pinned=no critical=no compression=none config=none"; }

# projection FILE GENERATION: the lines on stdin, headed, ended and signed by the coordinator.
projection() {
    { printf 'mvm-projection 1\nnode %s\ngeneration %s\n' "$node_name" "$2"; cat; } | with_end >"$1"
    mvm sign "$1" --key "$work/coordinator.pem"
}

# One generation after the other, over all that runs on one node: sets `generation`.
next_generation() {
    generation=$(($(cat "$work/generation" 2>/dev/null || echo 0) + 1))
    echo "$generation" >"$work/generation"
}

# want FILE: hands a signed projection (its name ends in .projection) to agentd, the signature first.
want() {
    install -o mvm -g mvm -m 0644 "$1.sig" "$desired/$(basename "$1").sig"
    install -o mvm -g mvm -m 0644 "$1" "$desired/.$(basename "$1").new"
    mv "$desired/.$(basename "$1").new" "$desired/$(basename "$1")"
}

# Doubles need no KVM, and a VM may have none: there hostd's unit must not ask for it.
no_kvm=/etc/systemd/system/mvm-hostd.service.d/no-kvm.conf
asks_for_no_kvm() { [ -e $no_kvm ]; }
do_without_kvm() {
    has_doubles && ! { : <>/dev/kvm; } 2>/dev/null || return 0
    mkdir -p "$(dirname $no_kvm)"
    printf '[Service]\nExecStartPre=\n' >$no_kvm
    systemctl daemon-reload
}

# What was laid over this node when it first started may not have been on its disk yet when its power was cut.
heal_node() {
    [ ! -d /run/mvm ] || return 0
    cp -a /opt/mvm-stage/root/usr/lib/tmpfiles.d/mvm.conf /usr/lib/tmpfiles.d/
    systemd-tmpfiles --create mvm.conf
}
prepare_node() {
    heal_node
    mkdir -p "$work"
    chmod 0755 "$work"
    install_firecracker
    make_image
    make_policy
    do_without_kvm
    systemctl start var-lib-mvm-memory.mount var-lib-mvm-drives.mount
}

# wait_until SECONDS COMMAND...
wait_until() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}

hostd_answers() { agent_mvm state; }
# Waits until agentd says that generation $1 is what the node is.
converged() { grep -q '"outcome": *"converged"' /run/mvm-agentd/status.json && grep -q "\"generation\": *$1\b" /run/mvm-agentd/status.json; }

instances() { agent_mvm state | sed -n 's/^jail \([^ ]*\) .*/\1/p'; }
slot_of() { agent_mvm state | sed -n "s|^tap $1 slot=\([0-9]*\).*|\1|p"; }
guest_socket() { echo "$jails/${1%/*}/firecracker/${1##*/}/root/run/guest.sock"; }
# guest_ping INSTANCE ADDRESS: "reply 0.42ms" or "timeout". Doubles only.
guest_ping() { echo "ping $2" | nc -U -W 1 -w 15 "$(guest_socket "$1")"; }
