#!/bin/bash
# Keys that come from a vault and from nowhere else, in the units as they are installed: agentd says what it misses, mvm-vault asks the vault of the
# tests for it, by TLS with a certificate, and seals it to hostd, which takes it only from a sealer of its policy. Before and
# after, the key is in no process. Runs in the VM.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/keys_lib.sh"

fake=$memory/fake
vault_status=/run/mvm-vault/status.json
dropin=/etc/systemd/system/mvm-vault.service.d
vault_pid=
start_fake() {
    rm -f "$fake/port"
    "$here/fake_vault" "$fake" 8200 transit >>"$memory/asked" 2>&1 &
    vault_pid=$!
    wait_until 20 test -s "$fake/port"
}
stop_fake() { [ -z "$vault_pid" ] || { kill -KILL "$vault_pid"; wait "$vault_pid" 2>/dev/null; }; vault_pid=; }
leave_vault() {
    local status=$?
    systemctl stop mvm-vault
    stop_fake
    rm -rf $dropin /etc/mvm/vault.conf /etc/mvm/vault-ca.pem /etc/credstore.encrypted/mvm-vault-* /run/mvm-vault/* /var/lib/mvm-vault
    systemctl daemon-reload
    (exit $status)
    leave_keys
}
encrypt() { systemd-creds encrypt --name="$1" "$2" "/etc/credstore.encrypted/$1" 2>"$memory/creds" || { cat "$memory/creds"; give_up "$1 is not encrypted"; }; }
give_credentials() {
    install -m 0644 "$fake/ca.pem" /etc/mvm/vault-ca.pem
    encrypt mvm-vault-cert "$fake/client.pem"
    encrypt mvm-vault-key "$fake/client.key"
}
vault_says() { grep -q "$1" $vault_status; }

begin_keys
trap leave_vault EXIT
mkdir -p "$fake/keys" $dropin
mark=$fake/keys/acme-1
{ printf marked-key-; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 21; } >"$mark"
hunt() { "$here/key_hunt" "$@" >"$scratch/hunted"; }
nowhere() { hunt "$mark" && grep -q processes "$scratch/hunted" || { cat "$scratch/hunted"; return 1; }; }
start_fake || give_up "the vault of the tests does not start"
sealer=$(mvm key identity "$memory/signer")
encrypt mvm-vault-signer "$memory/signer"
give_credentials
cat >/etc/mvm/vault.conf <<CONF
# The vault of the tests.
mvm-vault 1
node $node_name
identity $identity
server name=vault.test address=127.0.0.1 port=8200
login mount=cert role=node-7
kv mount=secret prefix=mvm field=key
transit mount=transit prefix=mvm
end
CONF

wanted_mixed "$scratch/mixed.projection" 1 1
drive "$scratch/mixed.projection"
check "agentd says what it misses, for whoever may seal" wait_until 30 test -s /run/mvm-agentd/wanted
systemctl start mvm-vault
check "without a drop-in that names the vault, mvm-vault reaches nobody" wait_until 40 vault_says '"unreachable"\|"timeout"'
check "and the vault was not asked" test ! -s "$memory/asked"
printf '[Service]\nIPAddressAllow=127.0.0.1\n' >$dropin/address.conf
systemctl daemon-reload
touch "$fake/sealed"
systemctl restart mvm-vault
check "a sealed vault is said to be one" wait_until 40 vault_says '"sealed"'
check "what needs no key runs" runs acme/web 1
rm "$fake/sealed"
check "once it is not, the key is sealed" wait_until 60 test -s "/run/mvm-vault/key.acme.1.$generation.sealed"
check "hostd does not take it from one whom its policy does not name" wait_until 60 grep -q 'nobody whom' $status_file
check "so nothing runs with it" runs acme/db 0
pid=$(systemctl show -P MainPID mvm-vault)
check "a filter holds mvm-vault" grep -qx "Seccomp:.2" "/proc/$pid/status"
check "it has no capability" grep -qx "CapPrm:.0000000000000000" "/proc/$pid/status"
kib() { sed -n "s/^$1:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$pid/status"; }
check "all its memory is locked" eval '[ "$(kib VmLck)" -gt $(($(kib VmSize) / 2)) ]'

stop_fake
check "while none is asked for, the key is in no process" nowhere
sed -i "s/^end\$/sealer key=$sealer\nend/" /etc/mvm/node.policy
start_fake || give_up "the vault of the tests does not start again"
give_credentials
systemctl restart mvm-hostd
wait_until 60 hostd_answers || give_up "hostd does not answer with another policy"
systemctl restart mvm-vault
check "with a sealer in the policy the volume is open and the microVM runs" wait_until 120 runs acme/db 1
check "nobody else has sealed anything" test -z "$(ls -A $sealed)"
instance=$(instances | grep '^acme/db/')
check "the guest writes and reads" eval '[ "$(guest_says "$instance" "write data 4096 hello")" = written ] && [ "$(guest_says "$instance" "read data 4096 5")" = hello ]'
check "mvm-vault is content" wait_until 20 vault_says '"good"'
for request in 'POST auth/cert/login' 'GET secret/data/mvm/acme?version=1' 'POST transit/decrypt/mvm-acme' 'POST auth/token/revoke-self'; do
    check "the vault was asked: $request" grep -qxF "$request" "$memory/asked"
done
stop_fake
check "and then the key is in no process" nowhere
check "nor in the journal, raw or in base64" eval '! journalctl --no-pager -o export | grep -qaF -e "$(head -c 30 "$mark")" -e "$(head -c 30 "$mark" | base64 -w0)"'

systemctl restart mvm-hostd
wait_until 60 hostd_answers || give_up "hostd does not answer after a restart"
wanted_mixed "$scratch/mixed.projection" 2 1
drive "$scratch/mixed.projection"
check "a vault that is gone is said to be" wait_until 60 vault_says '"unreachable"'
check "and what runs goes on" runs acme/db 1
start_fake || give_up "the vault of the tests does not start once more"
give_credentials
systemctl restart mvm-vault
check "after a restart of hostd keys are sealed anew" wait_until 120 runs acme/db 2
pid=$(systemctl show -P MainPID mvm-vault)
systemctl stop mvm-agentd
systemctl start mvm-agentd
another() { [ "$(systemctl show -P MainPID mvm-vault)" != "$pid" ] && systemctl is-active -q mvm-vault; }
wanted_mixed "$scratch/mixed.projection" 2 1
drive "$scratch/mixed.projection"
check "mvm-vault starts again where agentd's directory is another" wait_until 90 another

wanted_nothing "$scratch/nothing.projection"
drive "$scratch/nothing.projection"
check "nothing is left mapped" wait_until 10 nothing_mapped
check "the audit log is sound" mvm audit verify
exit $((failures > 0))
