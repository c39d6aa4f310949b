#!/bin/bash
# Bad input to hostd as systemd runs it: each is answered by what is wrong with it, and nothing is changed, neither the digest of
# the state nor anything on the node. Runs in the VM.
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

begin_survive
systemctl start mvm-hostd
trust_the_tests_key
wanted_nothing "$scratch/nothing.projection"
make_plan "$scratch/nothing.projection" && apply "$scratch/nothing.projection"
udevadm settle
take_inventory "$scratch/before"

if "$here/node_refusal_test" >"$scratch/refusals" 2>&1; then
    sed -n 's/^\[ *OK \] /ok: hostd, /p' "$scratch/refusals"
else
    failed "hostd: $(tail -60 "$scratch/refusals")"
fi
same_inventory "hostd: the node is as before"
mvm state | sed -n 's/^generation //p' >"$work/generation"
exit $((failures > 0))
