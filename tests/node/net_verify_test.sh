#!/bin/bash
# A node that hostd has made is sound; what anybody then breaks on it is found by `mvm net verify`, each thing by itself, and
# mended again: by its opposite, or by hostd, which is started again and mends what is its own with its microVMs running.
set -euo pipefail
# shellcheck source=tests/node/lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"
out=$work/net-verify
failures=0
right() { echo "ok: $*"; }
wrong() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

verify() {
    local status=0
    mvm --no-colour --json net verify "$@" >"$out/answer" 2>"$out/errors" || status=$?
    echo $status
}
show() { head -c 3000 "$out/answer"; head -c 500 "$out/errors"; }
is_sound() {
    local status
    status=$(verify)
    [ "$status" = 0 ] && return 0
    wrong "$1: exit $status, not 0"
    show
    return 1
}
vmms() { pgrep -x firecracker | sort | tr '\n' ' '; }

# breaks CHECK BREAK MEND: the command breaks exactly that, which is found, and the other makes it sound again.
breaks() {
    local status
    is_sound "before $2" || return 0
    bash -ec "$2"
    status=$(verify)
    if [ "$status" = 1 ] && grep -q "\"check\": \"$1\"" "$out/answer"; then
        right "$1: $2"
    else
        wrong "exit $status and no $1 of: $2"
        show
    fi
    eval "$3"
    is_sound "after $3" || true
}

# Started again, it mends what is its own, and ends nobody.
hostd_mends() {
    local before
    before=$(vmms)
    systemctl restart mvm-hostd
    wait_until 60 hostd_answers || wrong "hostd does not come back"
    [ "$(vmms)" = "$before" ] || wrong "hostd ended microVMs: $before then $(vmms)"
}
# And what is gone without a trace, agentd has made again.
all_mend() {
    hostd_mends
    wait_until 60 sh -c 'mvm --no-colour net verify' || true
}

cannot_tell() {
    local status
    status=$(verify "${@:2}")
    if [ "$status" = 2 ]; then right "cannot tell $1"; else wrong "$1: exit $status, not 2"; show; fi
}

rm -rf "$out"
mkdir -p "$work" "$out"
prepare_node
cat >"$out/policy" </etc/mvm/node.policy
sed -i 's/^end$/closed subnet=198.51.100.0\/24\nend/' /etc/mvm/node.policy
forwarded=$(cat /proc/sys/net/ipv4/ip_forward)
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link add up9 type dummy
ip address add 192.0.2.1/24 dev up9
ip link set up9 up
ip route add 198.51.100.0/24 via 192.0.2.9
ip route add 172.16.0.0/12 via 192.0.2.9
systemctl restart mvm-hostd mvm-agentd
wait_until 60 hostd_answers
next_generation
{
    echo "prune tenants=yes pools=yes"
    tenant_line acme 3
    echo "rule acme egress=nat pps=0 mbps=0 cps=0"
    pool_line acme/web 2
    tenant_line beta 4
    pool_line beta/jobs 1
} | projection "$out/two.projection" "$generation"
want "$out/two.projection"
wait_until 120 converged "$generation" || wrong "the node did not converge"
tap=tn3i$(slot_of "$(instances | grep -m1 '^acme/')")
other=tn4i$(slot_of "$(instances | grep -m1 '^beta/')")
mac=$(cat /sys/class/net/br-tenant-3/address)
is_sound "a clean node" && right "a clean node gives no finding"

breaks bridge "ip link set br-tenant-3 address 02:00:00:00:00:09" "ip link set br-tenant-3 address $mac"
breaks bridge "ip link set br-tenant-3 down" hostd_mends
breaks bridge "ip link set br-tenant-3 type bridge stp_state 1" "ip link set br-tenant-3 type bridge stp_state 0"
breaks address "ip address add 203.0.113.1/24 dev br-tenant-3" "ip address del 203.0.113.1/24 dev br-tenant-3"
breaks address "ip address add 203.0.113.1/24 dev $tap" "ip address del 203.0.113.1/24 dev $tap"
breaks subnet "ip address add 10.240.3.77/32 dev up9" "ip address del 10.240.3.77/32 dev up9"
breaks subnet "ip route add 10.240.3.64/26 dev up9 table 99" "ip route del 10.240.3.64/26 dev up9 table 99"
breaks tap "ip link set $tap down" hostd_mends
breaks tap "ip link set $tap nomaster" hostd_mends
breaks port "ip link set $other master br-tenant-3" hostd_mends
breaks other-tenant "ip link set $other master br-tenant-3" hostd_mends
breaks port "ip link add port9 type dummy; ip link set port9 master br-tenant-3 up" "ip link del port9"
breaks port "ip link add stray0 type veth peer name stray1; ip link set stray0 master br-tenant-3 up; ip link set stray1 up" "ip link del stray0"
breaks other-tenant "ip link add stray0 type veth peer name stray1; ip link set stray0 master br-tenant-3 up; ip link set stray1 master br-tenant-4 up" \
    "ip link del stray0"
breaks unknown "ip tuntap add tn3i200 mode tap; ip link set tn3i200 master br-tenant-3 up" "ip link del tn3i200"
if modprobe macvlan 2>/dev/null; then
    breaks stacked "ip link add link br-tenant-3 name sub0 type macvlan" "ip link del sub0"
fi
breaks setting "echo 1 >/proc/sys/net/ipv4/conf/br-tenant-3/proxy_arp" "echo 0 >/proc/sys/net/ipv4/conf/br-tenant-3/proxy_arp"
drop_first() { nft delete rule "$1" mvm "$2" handle "$(nft -a list chain "$1" mvm "$2" | sed -n 's/.*accept # handle //p' | head -1)"; }
breaks host "nft insert rule inet mvm input iifname br-tenant-3 tcp dport 22 accept" "drop_first inet input"
breaks forged "nft insert rule bridge mvm guard ether type ip6 accept" "drop_first bridge guard"
breaks forged "nft add element bridge mvm sources '{ $tap . $(cat "/sys/class/net/$tap/address") . 10.240.3.200 }'" \
    "nft delete element bridge mvm sources '{ $tap . $(cat "/sys/class/net/$tap/address") . 10.240.3.200 }'"
breaks outside "nft add element inet mvm egress '{ br-tenant-4 : accept }'" "nft delete element inet mvm egress '{ br-tenant-4 : accept }'"
breaks closed "for f in inet bridge; do nft delete element \$f mvm closed '{ 198.51.100.0/24 }'; done" hostd_mends
breaks closed "for f in inet bridge; do nft delete element \$f mvm closed '{ 172.16.0.0/12 }'; done" hostd_mends
breaks host "nft flush ruleset" all_mend

# Routing alone taken away is not found by packets, since the rules still hold; hostd mends it: an upgrade finds it so.
for p in 71 72 73 73 74 75; do ip rule del pref $p; done
hostd_mends
if [ "$(ip rule | grep -cE '^7[1-5]:')" = 6 ]; then right "hostd made the routing again"; else wrong "the routing is not whole"; fi
is_sound "with its routing made again" || true

tc qdisc add dev "$tap" clsact
cannot_tell "what tc does"
tc qdisc del dev "$tap" clsact
cannot_tell "of a tenant that there is not" --tenant nobody
cannot_tell "without a policy" --policy "$out/none"
cannot_tell "by a state that is none" --state "$out/policy"
status=0
as_agent mvm --no-colour net verify >"$out/answer" 2>&1 || status=$?
if [ "$status" = 2 ]; then right "cannot tell without the right to ask"; else wrong "as agentd: exit $status, not 2"; show; fi
systemctl stop mvm-agentd mvm-hostd
cannot_tell "while hostd does not say what there should be"
systemctl start mvm-hostd mvm-agentd
wait_until 60 hostd_answers

# As it was.
next_generation
echo "prune tenants=yes pools=yes" | projection "$out/none.projection" "$generation"
want "$out/none.projection"
wait_until 120 converged "$generation" || wrong "the node is not empty again"
systemctl stop mvm-agentd mvm-hostd
ip link del up9
echo "$forwarded" >/proc/sys/net/ipv4/ip_forward
rm -rf "$out"
make_policy
[ $failures = 0 ] || echo "$failures things were not as they should be"
exit $((failures > 0))
