# A node with an identity, keys that are sealed to it by `mvm key`, and agentd that carries them: what the tests of that share, to be sourced on
# a node as root.
# shellcheck shell=bash
# shellcheck source=storage_lib.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/storage_lib.sh"

offer=/run/mvm-agentd/offer
sealed=/var/lib/mvm-agentd/sealed
status_file=/run/mvm-agentd/status.json
credential=/etc/credstore.encrypted/mvm-identity

# Made and encrypted to this machine as docs/keys.md says. Sets `identity`, which who seals knows the node by.
give_identity() {
    rm -f "$memory/identity" $sealed/*
    identity=$(mvm key identity "$memory/identity")
    mkdir -p -m 0700 "$(dirname $credential)"
    systemd-creds encrypt --name=mvm-identity "$memory/identity" $credential 2>"$memory/creds" || { cat "$memory/creds"; give_up "the identity is not encrypted"; }
}
take_identity_away() { rm -f $credential $sealed/*; }
# What a process of that name finds of it, in the file system as it sees it.
sees_identity() {
    local pid
    pid=$(pgrep -xo "$1") || { echo "there is no $1"; return; }
    find "/proc/$pid/root/run/credentials" -name mvm-identity 2>/dev/null
}

trusted() { mvm key check --offer "$offer" --identity "$identity" --node $node_name --starts "$memory/starts"; }
# seal_key TENANT VERSION: to the offer that lies there now, for the generation that is wanted now.
seal_key() {
    mvm key seal --offer "$offer" --identity "$identity" --node $node_name --starts "$memory/starts" --signer "$work/coordinator.pem" \
        --tenant "$1" --version "$2" --generation "$generation" --from "$(key_file "$1" "$2")" --out $sealed
}
# wanted_mixed FILE DB WEB: acme/db with a data drive, acme/web without, so many running of each.
wanted_mixed() {
    next_generation
    {
        echo "prune tenants=yes pools=yes"
        echo "tenant acme net=3 subnet=10.240.3.0/24 vcpus=32 mem=16384 running=16 warm=4 pools=4 instances=32 disk=1024 secrets=none"
        echo "pool acme/db image=sha256:$image vcpus=1 mem=128 data=$data_mib running=$2 warm=0 sleeping=0 pinned=no critical=no compression=none config=none"
        pool_line acme/web "$3"
    } | projection "$1" "$generation"
}
runs() { [ "$(instances | grep -c "^$1/")" = "$2" ]; }

leave_keys() {
    local status=$?
    take_identity_away
    (exit $status)
    leave_storage
}
begin_keys() {
    begin_storage
    trap leave_keys EXIT
    give_identity
    systemctl start mvm-hostd mvm-agentd
    wait_until 60 hostd_answers || give_up "hostd does not answer"
    wanted_nothing "$scratch/nothing.projection"
    drive "$scratch/nothing.projection"
}

hunt() { "$here/key_hunt" "$@" >"$scratch/hunted"; }
# nowhere MARK: in no process, environment or command line.
nowhere() { hunt "$1" && grep -q processes "$scratch/hunted" || { cat "$scratch/hunted"; return 1; }; }
# only_in COMM: what was hunted is there and nowhere else.
only_in() { grep -q " $1 mem " "$scratch/hunted" && ! grep -v "^[0-9]* $1 \|processes$" "$scratch/hunted"; }
# on_no_disk MARK: in files that anyone wrote on the way, and on the disk below the volumes: as it is, in hex and in base64. $memory and drives, which are none, are not looked into.
on_no_disk() {
    local form
    for form in cat 'od -An -v -tx1' 'base64 -w0'; do
        $form "$1" | tr -d ' \n' | head -c 40 >"$memory/form"
        journalctl --no-pager -o export | grep -qaF -f "$memory/form" && { echo "in the journal: $form"; return 1; }
        grep -rlaF -D skip --exclude-dir=drives -f "$memory/form" /var/lib/mvm /var/lib/mvm-agentd /var/log /var/lib/systemd /var/tmp /tmp /etc /run/mvm /run/mvm-agentd /run/log && { echo "in a file: $form"; return 1; }
        sync
        grep -qaF -f "$memory/form" "$disk" && { echo "below the volumes: $form"; return 1; }
    done
    return 0
}
