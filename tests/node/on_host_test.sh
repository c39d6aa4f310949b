#!/bin/bash
# `./dev run --host`: a machine that does not pass preflight, or has mvm already, is left alone; one that passes shows a node's whole
# life and is afterwards as it was. The VM is made to be a machine on which mvm never was, and put back at the end. Runs in the VM.
set -uo pipefail
stage=/opt/mvm-stage
here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d /root/on-host-XXXXXX)
failures=0
ok() { echo "ok: $1"; }
failed() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}
check() { if "${@:2}" >"$scratch/said" 2>&1; then ok "$1"; else failed "$1: $(tail -20 "$scratch/said")"; fi; }
refuses() {
    if "$here/on_host.sh" "$stage/root" >"$scratch/said" 2>&1; then failed "$1: not refused"; return; fi
    if grep -qF -- "$2" "$scratch/said"; then ok "$1: $2"; else failed "$1: not '$2' but $(tail -5 "$scratch/said")"; fi
}

# What hostd's run-time directories are to a machine, `inventory` shows; this is what an installation is to it. Files that are written
# whenever users are made are compared by what they say.
machine() {
    setsid -w "$here/inventory"
    find /usr /etc /opt /var/lib /run/systemd/system -xdev \( -path /var/lib/systemd -o -path '/etc/*-' -o -path /opt/mvm-stage \) -prune -o \
        ! -type d -printf '%y %m %U:%G %s %p %l\n' -o -printf '%y %m %U:%G %p\n' | sort
    sort /etc/passwd /etc/group
    systemctl list-unit-files --plain --no-legend '*mvm*'
    systemctl list-units --all --plain --no-legend 'mvm*'
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/{all,default}/{forwarding,send_redirects,accept_redirects}
}
same_machine() {
    udevadm settle
    machine >"$scratch/after"
    if diff "$scratch/before" "$scratch/after" >"$scratch/diff"; then ok "$1"; else failed "$1: $(head -40 "$scratch/diff")"; fi
}

# ---- a machine on which mvm never was
systemctl stop mvm-agentd mvm-hostd
mkdir -p /run/systemd/system/mvm-instances.service.d
printf '[Unit]\nRefuseManualStop=no\n' >/run/systemd/system/mvm-instances.service.d/stop.conf
systemctl daemon-reload
mapfile -t units < <(ls "$stage/root/usr/lib/systemd/system")
systemctl stop "${units[@]}"
rm -r /run/systemd/system/mvm-instances.service.d
mapfile -t users < <(awk '$1 == "u" { print $2 }' "$stage/root/usr/lib/sysusers.d/mvm.conf")
put_back() {
    tar -C "$stage/root" -c . | tar -C / --no-overwrite-dir -x
    systemd-sysusers
    systemd-tmpfiles --create
    systemctl daemon-reload
    echo 1 >/proc/sys/net/ipv4/ip_forward
    rm -rf "$scratch"
}
trap put_back EXIT
(cd "$stage/root" && find . ! -type d -printf '/%P\n') | xargs rm -f
rm -rf /etc/mvm /var/lib/mvm /run/mvm /var/lib/mvm-agentd /run/mvm-agentd /var/lib/mvm-vault /run/mvm-vault /usr/libexec/mvm /var/lib/mvm-node-test /etc/systemd/system/mvm-hostd.service.d
for user in "${users[@]}"; do userdel "$user" 2>/dev/null; done
systemctl daemon-reload
systemctl reset-failed 'mvm*' 2>/dev/null
modprobe -q kvm_amd || modprobe -q kvm_intel
[ -e /dev/kvm ] || { echo "FAILED: there is no KVM in this VM, so that preflight would not pass"; exit 1; }
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/send_redirects
firecracker=$scratch/firecracker
mkdir -p "$firecracker"
cp "${MVM_FIRECRACKER_DIR:-$stage/doubles}"/* "$firecracker"
export MVM_FIRECRACKER_DIR=$firecracker
machine >"$scratch/before"

# ---- left alone
chmod o+w "$firecracker/jailer"
refuses "a jailer that others may write" "this machine does not pass preflight, and nothing of it was changed"
chmod o-w "$firecracker/jailer"
same_machine "it has changed nothing"
MVM_FIRECRACKER_DIR='' refuses "no Firecracker" "--host needs MVM_FIRECRACKER_DIR"
mv "$firecracker/jailer" "$firecracker/other"
refuses "no jailer" "there is no jailer in"
mv "$firecracker/other" "$firecracker/jailer"
mkdir /etc/mvm
refuses "a policy that is somebody's" "mvm is on this machine already"
check "it has not removed it" rmdir /etc/mvm
same_machine "it has changed nothing either"

# ---- from an empty machine to an empty machine
if "$here/on_host.sh" "$stage/root" >"$scratch/demo" 2>&1; then
    ok "a node's whole life on this machine"
else
    failed "the demonstration: $(tail -60 "$scratch/demo")"
fi
check "all of it was as it should be" grep -F "All of it was as it should be." "$scratch/demo"
check "it says what is left" grep -F "Nothing of mvm's is left but the journal" "$scratch/demo"
same_machine "the machine is as it was"

# ---- broken off in the middle
"$here/on_host.sh" "$stage/root" >"$scratch/demo" 2>&1 &
demo=$!
while kill -0 $demo 2>/dev/null && ! pgrep -x firecracker >/dev/null; do sleep 0.2; done
check "microVMs run" pgrep -x firecracker
kill -TERM $demo
wait $demo
check "broken off with microVMs running" test $? = 130
same_machine "broken off, the machine is as it was all the same"
exit $((failures > 0))
