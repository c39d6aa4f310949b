#!/bin/bash
# usage: on_host.sh TREE
# A node's whole life on the machine that this runs on, with its own kernel and the Firecracker that MVM_FIRECRACKER_DIR names: what
# `./dev run --host` does with what it has built. TREE is what `cmake --install` lays down. Nothing is changed before preflight has
# passed and nothing of mvm's is found to be here already; at the end the machine is as it was, but for what is said.
set -euo pipefail
tree=$(realpath "$1")

die() {
    echo "on_host: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || die "--host needs root"
[ -n "${MVM_FIRECRACKER_DIR:-}" ] || die "--host needs MVM_FIRECRACKER_DIR: a directory with firecracker, jailer, vmlinux and rootfs.ext4"
MVM_FIRECRACKER_DIR=$(realpath "$MVM_FIRECRACKER_DIR")
export MVM_FIRECRACKER_DIR
# shellcheck source=lib.sh
. "$(dirname "$(realpath "$0")")/lib.sh"
needed=(firecracker jailer)
has_doubles || needed+=(vmlinux rootfs.ext4)
for file in "${needed[@]}"; do
    [ -f "$firecracker_dir/$file" ] || die "there is no $file in $firecracker_dir"
done

directories=(/etc/mvm /var/lib/mvm /run/mvm /var/lib/mvm-agentd /run/mvm-agentd /var/lib/mvm-vault /run/mvm-vault /usr/libexec/mvm "$work" "$(dirname "$no_kvm")")
mapfile -t users < <(awk '$1 == "u" { print $2 }' "$tree"/usr/lib/sysusers.d/mvm.conf)
mapfile -t units < <(ls "$tree/usr/lib/systemd/system")
mapfile -t files < <(cd "$tree" && find . ! -type d -printf '/%P\n')
here_already() {
    local thing
    for thing in "${directories[@]}" "${files[@]}"; do [ ! -e "$thing" ] || echo "$thing"; done
    for thing in "${users[@]}"; do ! getent passwd "$thing" >/dev/null || echo "the user $thing"; done
}
found=$(here_already)
[ -z "$found" ] || die "mvm is on this machine already, and what runs here is not for a demonstration: ${found//$'\n'/, }"

demo=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$firecracker_dir" && sha256sum firecracker jailer) >"$scratch/pins"
"$tree/usr/bin/mvm" preflight --bin-dir "$firecracker_dir" --pins "$scratch/pins" --state-dir /var/lib ||
    die "this machine does not pass preflight, and nothing of it was changed; ./dev run shows the same in a VM"

# ---- from here on the machine is changed, and changed back

# Forwarding first: writing it sets the others.
settings() { echo /proc/sys/net/ipv4/ip_forward; ls /proc/sys/net/ipv4/conf/*/{forwarding,send_redirects,accept_redirects}; }
note_settings() { settings | while read -r file; do echo "$(cat "$file") $file"; done; }
put_settings_back() {
    local value file
    while read -r value file; do
        [ ! -e "$file" ] || [ "$(cat "$file")" = "$value" ] || echo "$value" >"$file"
    done <"$scratch/settings"
}
modules() { cut -d' ' -f1 /proc/modules | sort; }

install_tree() {
    modules >"$scratch/modules"
    note_settings >"$scratch/settings"
    (cd "$tree" && find . -mindepth 1 -type d -printf '/%P\n') | while read -r made; do [ -e "$made" ] || echo "$made"; done >"$scratch/made"
    tar -C "$tree" --owner=0 --group=0 -c . | tar -C / --no-overwrite-dir -x
    systemd-sysusers mvm.conf
    systemd-tmpfiles --create mvm.conf
    /usr/lib/systemd/systemd-modules-load mvm.conf
    /usr/lib/systemd/systemd-sysctl 60-mvm.conf
    systemctl daemon-reload
}

nothing_runs() { ! agent_mvm state | grep -v '^end ' | grep -qE '^(bridge|rule|cgroup|volume|luksOpen|secrets|config|tap|jail|snapshot) '; }
# What a demonstration that broke off has left running is removed as an operator would.
remove_all() {
    [ -e /etc/mvm/node.policy ] || return 0 # nothing was ever started
    hostd_answers >/dev/null 2>&1 || systemctl start mvm-hostd mvm-agentd
    wait_until 60 hostd_answers || return 1
    if nothing_runs; then return 0; fi
    next_generation
    echo "prune tenants=yes pools=yes" | projection "$scratch/nothing.projection" "$generation"
    want "$scratch/nothing.projection"
    wait_until 120 nothing_runs
}
# The unit that holds the cgroup refuses to be stopped by hand, for microVMs may be in it; here none is.
stop_units() {
    local override=/run/systemd/system/mvm-instances.service.d
    mkdir -p "$override"
    printf '[Unit]\nRefuseManualStop=no\n' >"$override/stop.conf"
    systemctl daemon-reload
    systemctl stop "${units[@]}"
    rm -r "$override"
}
uninstall() {
    local status=$? left
    trap - INT TERM
    set +e
    printf '\n=== The machine is put back as it was\n\n'
    if ! remove_all; then
        echo "on_host: what the demonstration has left running could not be removed; mvm stays installed, see: journalctl -u mvm-hostd" >&2
        exit 1
    fi
    stop_units
    put_settings_back
    (cd / && rm -f "${files[@]}")
    rm -rf "${directories[@]}"
    sort -r "$scratch/made" | xargs -r rmdir --ignore-fail-on-non-empty
    for user in "${users[@]}"; do userdel "$user"; done
    systemctl daemon-reload
    systemctl reset-failed 'mvm*' 2>/dev/null
    left=$(here_already)
    [ -z "$left" ] || { echo "on_host: this is left: ${left//$'\n'/, }" >&2; status=1; }
    left=$(modules | comm -13 "$scratch/modules" - | tr '\n' ' ')
    echo "Nothing of mvm's is left but the journal${left:+, and these modules of the kernel: $left}"
    rm -rf "$scratch"
    exit $status
}
trap uninstall EXIT
trap 'kill "$demo" 2>/dev/null; exit 130' INT TERM
install_tree
# In the background, so that a signal is heeded at once and not at its end.
"$here/demo.sh" &
demo=$!
wait $demo
