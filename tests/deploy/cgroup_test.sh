#!/bin/bash
# The microVMs' cgroup: made, handed its controllers, and not taken away by anything that happens to units. Runs in the VM.
set -uo pipefail
root=/sys/fs/cgroup/mvm.slice/mvm-instances.service
instance=$root/acme/workers/i-a3f7b2c1
failures=0
check() {
    if "${@:2}" >/dev/null 2>&1; then echo "ok: $1"; else echo "FAILED: $1"; systemctl status mvm-instances --no-pager; failures=$((failures + 1)); fi
}
wait_for() { for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done; return 1; }
has_controllers() { for c in cpu memory pids io; do grep -qw "$c" "$1/cgroup.controllers" || return 1; done; }
is_active() { systemctl is-active -q mvm-instances; }
is_not_active() { ! is_active; }
lives() { grep -qx "$pid" "$instance/cgroup.procs" && grep -qx 104857600 "$instance/memory.max" && has_controllers "$instance"; }
hand_down() { echo "+cpu +memory +pids +io" >"$1/cgroup.subtree_control"; }

systemctl start mvm-instances
check "the unit is active" wait_for is_active
check "its cgroup has cpu, memory, pids and io" has_controllers "$root"
check "no process is in the cgroup itself" wait_for test ! -s "$root/cgroup.procs"

mkdir -p "$instance"
check "controllers can be handed down to an instance" eval 'hand_down $root && hand_down $root/acme && hand_down $root/acme/workers'
sleep 100000 &
pid=$!
echo "$pid" >"$instance/cgroup.procs"
echo 100M >"$instance/memory.max"
check "an instance runs in it" lives
systemctl daemon-reload
check "it outlives daemon-reload" lives
systemctl daemon-reexec
check "it outlives daemon-reexec" wait_for lives
systemctl set-property --runtime mvm.slice CPUWeight=200
check "it outlives a change to the slice" lives
systemctl revert mvm.slice 2>/dev/null
check "nobody stops the unit by hand" bash -c '! systemctl stop mvm-instances'
check "it outlives the attempt" lives
systemctl kill -s KILL --kill-who=main mvm-instances
check "the anchor's death is seen" wait_for is_not_active
sleep 3
check "it outlives the anchor" lives
# A process of the instance is held to the devices of the unit; the same open outside of it works.
check "a device outside the list opens here" bash -c ': </dev/loop-control'
check "the same device does not open in an instance" bash -c "echo 0 >$instance/cgroup.procs && ! : </dev/loop-control"
check "the jailer can make /dev/kvm and /dev/net/tun for an instance" bash -c "echo 0 >$instance/cgroup.procs && mknod /tmp/kvm c 10 232 && mknod /tmp/tun c 10 200"
rm -f /tmp/kvm /tmp/tun
is_gone() { ! kill -0 "$pid"; }
check "cgroup.kill ends what is in an instance" eval 'echo 1 >$instance/cgroup.kill && wait_for is_gone'
check "the unit comes back once its cgroup is empty" wait_for is_active
check "and has its controllers" has_controllers "$root"
rmdir "$instance" "$root/acme/workers" "$root/acme" 2>/dev/null
exit $((failures > 0))
