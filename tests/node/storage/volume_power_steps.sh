#!/bin/bash
# usage: volume_power_steps.sh begin | making | writing | rekeying | destroying | after [TOLD] | end. The steps of volume_power_test.sh, in the VM: `now` on
# stdout is when the power may go, and `told N` says that a guest was told that record N is written. Volumes lie on the node's own disk.
set -uo pipefail
export LC_ALL=C
. "$(dirname "$(realpath "$0")")/storage_lib.sh"

kept=$work/volume-power
rm -rf "$memory"
memory=$kept  # keys and identity outlive the cut

begin_power_step() {
    begin_survive
    trap leave_node EXIT
    modprobe -a loop dm_mod dm_crypt
    mkdir -p "$memory/credentials"
    start_with_identity || give_up "hostd does not start: $(tail -3 "$hostd_log")"
}
read_record() { guest_says "$1" "read data 8192 9"; }
write_record() { [ "$(guest_says "$1" "write data 8192 $(printf 'rec%06d' "$2")")" = written ]; }
way_to() {
    wanted_data "$scratch/way.projection" "$1"
    make_plan "$scratch/way.projection" || give_up "no plan: $(cat "$scratch/made")"
}
opens_with_its_key() { cryptsetup open --test-passphrase --key-file "$(key_file acme "$2")" "$1"; }
# What lies on the disk opens with the key of its name, and has a line; what has a line lies there.
every_volume_opens() {
    local file version
    for file in $(find "$volumes" -type f); do
        version=${file%.*}
        opens_with_its_key "$file" "${version##*.}" || { echo "$file does not open"; return 1; }
    done
}
running() { wanted_data "$scratch/way.projection" 1 && reach "$scratch/way.projection"; }

case $1 in
begin)
    mkdir -p "$kept/keys"
    head -c 32 /dev/urandom >"$kept/identity"
    for key in acme-1 acme-2; do (umask 077 && head -c 32 /dev/urandom >"$kept/keys/$key"); done
    begin_power_step
    reach_nothing || give_up "what stood before is not removed"
    sync
    ;;
making)
    begin_power_step
    way_to 2
    echo now
    apply "$scratch/way.projection"
    sleep 60
    ;;
writing)
    begin_power_step
    running || give_up "it does not run: $(tail -3 "$scratch/applied")"
    instance=$(instances | head -1)
    echo "$instance" >"$kept/writer"
    sync
    for ((record = 1; ; ++record)); do
        write_record "$instance" $record && echo "told $record"
        [ $record != 3 ] || echo now
    done
    ;;
rekeying)
    begin_power_step
    way_to 0
    reach "$scratch/way.projection" || give_up "it is not stopped"
    instance=$(cat "$kept/writer")
    sync
    echo now
    for to in 2 1 2 1 2 1; do
        mvm volume rekey "$instance" $to --projection "$scratch/way.projection" >"$scratch/plan" 2>"$scratch/made" && apply "$scratch/way.projection"
    done
    sleep 60
    ;;
destroying)
    begin_power_step
    wanted_nothing "$scratch/way.projection"
    make_plan "$scratch/way.projection" || give_up "no plan"
    rm -f "$kept/writer" "$kept/told"
    sync
    echo now
    apply "$scratch/way.projection"
    sleep 60
    ;;
after)
    check "nothing is mapped after the cut" nothing_mapped
    begin_power_step
    check "the volumes hold" eval 'sound_volumes >"$scratch/why" || { cat "$scratch/why"; false; }'
    check "each opens with the key of its name" every_volume_opens
    [ -z "${2:-}" ] || echo "$2" >"$kept/told"
    if [ -e "$kept/writer" ] && [ -e "$kept/told" ]; then
        instance=$(cat "$kept/writer")
        check "the volume that was written stands" test "$(mvm state | grep -c "^volume $instance ")" = 1
        check "it runs again" running
        said=$(read_record "$instance")
        check "the guest reads what it was told is written: record $(cat "$kept/told"), and it is ${said#rec}" test "$((10#${said#rec}))" -ge "$(cat "$kept/told")"
        check "the key of its name is still its own" sound_volumes
    fi
    check "the audit log is sound" mvm audit verify
    sync
    ;;
end)
    begin_power_step
    check "all of it is destroyed" reach_nothing
    check "no file of a volume is left" test -z "$(find "$volumes" -type f)"
    check "nothing is mapped" wait_until 10 nothing_mapped
    rm -rf "$kept"
    ;;
esac
exit $((failures > 0))
