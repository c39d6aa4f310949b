#!/bin/bash
# Bad input to hostd and to agentd as systemd runs them: each is answered by what is wrong with it, and nothing is changed, neither
# the digest of the state nor anything on the node. Runs in the VM.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/survive_lib.sh"

# RFC 8032, 7.1, TEST 1: the key that the test program signs with, and nobody's secret.
test_key=ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
trust_the_tests_key() {
    local keys
    keys=$({ grep '^coordinator ' /etc/mvm/node.policy; echo "coordinator key=$test_key"; } | sort)
    sed -i -e '/^coordinator /d' -e '/^end$/d' /etc/mvm/node.policy
    printf '%s\nend\n' "$keys" >>/etc/mvm/node.policy
    systemctl restart mvm-hostd && wait_until 60 hostd_answers || give_up "hostd does not start with the tests' key"
}

status() { tr -d '\n' </run/mvm-agentd/status.json; }
says() { status | grep -qF -- "$1"; }
made() { ls /sys/class/net; find /sys/fs/cgroup/mvm.slice -type d; }
bad=$scratch/bad.projection

# says_unfit WHAT WHY: agentd says WHY of what lies in its directory as bad.projection, and does nothing.
says_unfit() {
    if wait_until 40 says "$2"; then ok "agentd, $1: $2"; else failed "agentd, $1: not '$2', but $(status)"; fi
    check "agentd, $1: the state is the same" test "$(state_digest)" = "$digest"
    check "agentd, $1: links and cgroups are the same" test "$(made)" = "$made"
}
forgets() { wait_until 40 says '"unfit": []' || failed "agentd, $1: still speaks of it: $(status)"; }
# expect_unfit WHAT WHY: the same, and it forgets it once it is gone.
expect_unfit() {
    says_unfit "$@"
    rm -rf "$desired"/bad.projection*
    forgets "$1"
}
refused() {
    want "$bad"
    expect_unfit "$1" "$2"
}
bad() { { echo "prune tenants=yes pools=yes"; cat; } | projection "$bad" "$((generation + 1))"; }
# `mvm sign` signs no text that is malformed; whoever holds the key can.
sign_whatever_it_is() { openssl pkeyutl -sign -rawin -inkey "${1:-$work/coordinator.pem}" -in "$bad" -out "$bad.sig"; }
end_again() { sed -i '$d' "$bad" && with_end <"$bad" >"$bad.ended" && mv "$bad.ended" "$bad" && sign_whatever_it_is; }
acme() { tenant_line acme 3; pool_line acme/web 1; }

begin_survive
systemctl start mvm-hostd
trust_the_tests_key
wanted_nothing "$scratch/nothing.projection"
make_plan "$scratch/nothing.projection" && apply "$scratch/nothing.projection"
udevadm settle
take_inventory "$scratch/before"

# ---- hostd
if "$here/node_refusal_test" >"$scratch/refusals" 2>&1; then
    sed -n 's/^\[ *OK \] /ok: hostd, /p' "$scratch/refusals"
else
    failed "hostd: $(tail -60 "$scratch/refusals")"
fi
same_inventory "hostd: the node is as before"
mvm state | sed -n 's/^generation //p' >"$work/generation"

# ---- agentd
systemctl start mvm-agentd
wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
digest=$(state_digest)
made=$(made)
systemctl stop mvm-agentd
take_inventory "$scratch/before"
systemctl start mvm-agentd

acme | bad
truncate -s 100 "$bad" && sign_whatever_it_is
refused "half a text" "V1 form"
echo >"$bad" && sign_whatever_it_is
refused "a text of nothing" "V1 form"
acme | bad
head -c 1100000 /dev/zero | tr '\0' x >>"$bad" && sign_whatever_it_is
refused "a text over its limit" "more than 1048576 bytes"
acme | bad
head -c $((1048576 - $(stat -c %s "$bad"))) /dev/zero | tr '\0' x >>"$bad" && sign_whatever_it_is
refused "a text at its limit that goes on behind its end" "V1 form"
acme | bad
sed -i 's/net=3/net=03/' "$bad" && end_again
refused "another spelling" "leading zero"
acme | bad
sed -i 's/$/\r/' "$bad" && sign_whatever_it_is
refused "lines that end otherwise" "V1 form"
acme | bad
sed -i '/^tenant /s/$/ colour=red/' "$bad" && end_again
refused "an unknown field" "the line goes on where it should end"
acme | bad
sed -i 's/running=16/running=15/' "$bad" && sign_whatever_it_is
refused "a wrong digest" "this is not the digest of the text above"
acme | bad
sed -i "s/acme/$(printf 'a%.0s' {1..33})/" "$bad" && end_again
refused "a name over its limit" "this is no name of a tenant"

acme | bad
sed -i 's/running=16/running=15/' "$bad"
refused "a wrong signature" "no coordinator of the policy signed these bytes"
mvm keygen "$scratch/other.pem" >/dev/null
acme | bad
sign_whatever_it_is "$scratch/other.pem"
refused "the signature of someone else" "no coordinator of the policy signed these bytes"
acme | bad
truncate -s 63 "$bad.sig"
refused "half a signature" "not 64 bytes"
acme | bad
echo >>"$bad.sig"
refused "a signature and more" "more than 64 bytes"
acme | bad
install -o mvm -g mvm -m 0644 "$bad" "$desired/bad.projection"
expect_unfit "no signature" "bad.projection.sig"
acme | bad
install -o mvm -g mvm -m 0644 "$bad.sig" "$desired/bad.projection.sig"
ln -s "$bad" "$desired/.link" && mv "$desired/.link" "$desired/bad.projection"
expect_unfit "a link to a text" "Too many levels of symbolic links"
mkfifo "$desired/.pipe" && mv "$desired/.pipe" "$desired/bad.projection"
expect_unfit "a pipe" "not a regular file"

acme | node_name=node-8 bad
refused "another node" "it is for node node-8"
{ acme; tenant_line beta 4 | sed 's/10.240.4.0/10.240.3.0/'; } | bad
refused "subnets that overlap" "overlaps"
acme | sed 's/10.240.3.0/192.168.3.0/' | bad
refused "a subnet outside of the cluster's" "10.240.0.0/12"
{ tenant_line acme 3; pool_line acme/web 17; } | bad
refused "more than the quota" "its quota is 16"

# Two texts of one generation: neither counts, so agentd is to see both come at once, and both go: one alone would count.
systemctl stop mvm-agentd
acme | bad
sed 's/running=16/running=15/' "$bad" | sed '$d' | with_end >"$bad.other.projection"
mvm sign "$bad.other.projection" --key "$work/coordinator.pem"
want "$bad.other.projection"
want "$bad"
systemctl start mvm-agentd
says_unfit "two of one generation" "another projection has the same generation"
systemctl stop mvm-agentd
rm -f "$desired"/bad.projection*
systemctl start mvm-agentd
forgets "two of one generation"

rm -f "$desired"/nothing.projection*
acme | projection "$bad" 1
want "$bad"
check "agentd, an old generation" wait_until 40 says "generation 1, the host has seen"
check "agentd, an old generation: the state is the same" test "$(state_digest)" = "$digest"
check "agentd, an old generation: links and cgroups are the same" test "$(made)" = "$made"
rm -f "$desired"/bad.projection*

# It is still one that can be worked with.
end_with_nothing
exit $((failures > 0))
