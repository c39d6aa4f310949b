# What the tests of this folder share, to be sourced on a node as root: a node that is prepared and empty, states to bring it
# to, and what must hold of it after anything has died.
# shellcheck shell=bash
# shellcheck source=../lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/lib.sh"

scratch=$(mktemp -d /root/survive-XXXXXX)
hostd_pid=
failures=0
hostd_log=$scratch/hostd.log

ok() { echo "ok: $1"; }
failed() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
check() {
    if "${@:2}" >"$scratch/check" 2>&1; then ok "$1"; else failed "$1: $(tail -3 "$scratch/check")"; fi
}
give_up() {
    failed "$1"
    tail -5 "$hostd_log" 2>/dev/null
    journalctl -u mvm-hostd -u mvm-agentd --no-pager -n 20 -o short-monotonic
    exit 1
}

# Runs at the end, whatever came before: what stands is removed as an operator would, so that no other test finds it.
leave_node() {
    local status=$?
    [ -z "$hostd_pid" ] || kill -KILL "$hostd_pid" 2>/dev/null
    systemctl stop mvm-agentd mvm-hostd
    rm -f "$desired"/*.projection "$desired"/*.sig
    rm -rf "$scratch"
    exit "$status"
}

# wanted FILE DB WEB BETA: the newest projection, two tenants with three pools of so many running instances each.
wanted() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        tenant_line acme 3
        echo "rule acme egress=nat pps=0 mbps=0 cps=0"
        pool_line acme/db "$2"
        pool_line acme/web "$3"
        tenant_line beta 4
        pool_line beta/web "$4"
    } | projection "$1" "$generation"
}
wanted_nothing() {
    next_generation
    echo "prune tenants=yes pools=yes" | projection "$1" "$generation"
}

hand_to_agent() {
    find "$desired" -name '*.projection*' ! -name "$(basename "$1")*" -delete
    want "$1"
}

state_digest() { mvm state | sed -n 's/^end //p'; }
apply() { mvm --no-colour plan apply "$scratch/plan" --projection "$1" >"$scratch/applied" 2>&1; }
make_plan() { mvm plan make --projection "$1" >"$scratch/plan" 2>"$scratch/made"; }
# Until what is wanted is: a plan that fails in part is made again.
reach() {
    for _ in 1 2 3; do
        make_plan "$1" || return 1
        if apply "$1"; then return 0; fi
    done
    return 1
}
reach_nothing() {
    wanted_nothing "$scratch/nothing.projection"
    reach "$scratch/nothing.projection"
}
statements() { grep -c '^[-+~!]' "$1"; }
lines_of() { grep -c "^$1 " "$2"; }

# What must hold of any state that hostd shows: no instance is half made, every microVM of it lives, and nothing else does.
sound() {
    local state=$scratch/state
    mvm state >"$state" 2>&1 || { echo "no state: $(cat "$state")"; return 1; }
    local jails taps cgroups
    jails=$(lines_of jail "$state") taps=$(lines_of tap "$state") cgroups=$(lines_of cgroup "$state")
    [ "$jails" = "$taps" ] && [ "$taps" = "$cgroups" ] || { echo "half made: $cgroups cgroups, $taps taps, $jails jails"; return 1; }
    local microvms
    microvms=$(pgrep -xc firecracker)
    [ "$microvms" = "$jails" ] || { echo "$microvms microVMs, and $jails lines of jails"; return 1; }
    local bridges
    bridges=$(ip -o link show type bridge | wc -l)
    [ "$bridges" = "$(lines_of bridge "$state")" ] || { echo "$bridges bridges, and other lines"; return 1; }
    local in_kernel
    in_kernel=$(ip -o -d link show | grep -c ' tun type tap')
    [ "$in_kernel" = "$taps" ] || { echo "$in_kernel taps, and $taps lines"; return 1; }
}

# A unit that was started again has private directories under other names.
take_inventory() { setsid -w "$here/inventory" | sed -E "s|(systemd-private-)[0-9a-f]+(-mvm-[a-z]+.service-)[A-Za-z0-9]+|\1N\2N|" >"$1"; }
# same_inventory WHAT: nothing is left over, and nothing is missing.
same_inventory() {
    udevadm settle
    take_inventory "$scratch/after"
    if diff "$scratch/before" "$scratch/after" >"$scratch/diff"; then ok "$1"; else failed "$1:"; cat "$scratch/diff"; fi
}

audit_lines() { grep -c " $1" /var/lib/mvm/audit/log; }

# As after a boot: units stopped, cgroup ready, empty state.
begin_survive() {
    trap leave_node EXIT
    prepare_node
    systemctl stop mvm-agentd mvm-hostd
    systemctl start mvm-instances
    wait_until 50 systemctl is-active mvm-instances || give_up "mvm-instances does not start"
}

# The tests' build of hostd, outside of its unit: what it does to itself is the same, and it starts sooner.
start_hostd() {
    MVM_FAULT=${1:-} "$here/mvm-hostd-test" >"$hostd_log" 2>&1 &
    hostd_pid=$!
    disown
    for _ in $(seq 200); do
        if mvm state >/dev/null 2>&1; then return 0; fi
        kill -0 "$hostd_pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
hostd_is_gone() { ! kill -0 "$hostd_pid" 2>/dev/null; }
wait_gone() { for _ in $(seq 100); do if hostd_is_gone; then return 0; fi; sleep 0.05; done; return 1; }
stop_hostd() {
    kill -TERM "$hostd_pid"
    wait_gone
}

# ---- with the units, as in production

hostd_pid_of_unit() { systemctl show -p MainPID --value mvm-hostd; }
other_hostd() { local pid; pid=$(hostd_pid_of_unit); [ "$pid" != 0 ] && [ "$pid" != "$1" ] && hostd_answers; }
# drive FILE: agentd brings the node to what wanted() or wanted_nothing() last wrote there.
drive() {
    hand_to_agent "$1"
    wait_until 400 converged "$generation" || give_up "the node does not come to generation $generation: $(tr -d '\n' </run/mvm-agentd/status.json)"
}
hostd_complaints() { journalctl -u mvm-hostd --no-pager -o cat | grep -c '^mvm-hostd: cannot'; }
# An empty node with both units up; what is on it then is what is to be on it at the end.
begin_with_units() {
    begin_survive
    systemctl start mvm-hostd mvm-agentd
    wait_until 100 hostd_answers || give_up "hostd does not answer"
    wanted_nothing "$scratch/nothing.projection"
    drive "$scratch/nothing.projection"
    # Stopped for both inventories: it asks hostd now and then, and what it holds open meanwhile is nobody's leftover.
    systemctl stop mvm-agentd
    take_inventory "$scratch/before"
    systemctl start mvm-agentd
}
end_with_nothing() {
    wanted_nothing "$scratch/nothing.projection"
    drive "$scratch/nothing.projection"
    systemctl stop mvm-agentd
    same_inventory "the node is as before"
    check "the audit log is sound" mvm audit verify
}
microvms() { for pid in $(pgrep -x firecracker); do echo "$pid $(cut -d' ' -f22 "/proc/$pid/stat")"; done | sort; }
