#!/bin/bash
# A node from an empty host to an empty host: what `./dev run` shows. Runs on the node, as root; ends with 0 only if
# everything that it shows was as it says.
set -uo pipefail
. "$(dirname "$(realpath "$0")")/lib.sh"
out=$work/demo
failures=0

title() { printf '\n=== %s\n\n' "$*"; }
say() { printf '%s\n' "$*"; }
right() { printf 'ok: %s\n' "$*"; }
wrong() {
    printf 'WRONG: %s\n' "$*"
    failures=$((failures + 1))
}
give_up() {
    wrong "$*"
    journalctl --no-pager -u mvm-hostd -u mvm-agentd -n 30
    exit 1
}
# Digests are long, and what they stand for is on the screen: shown by their first hex digits.
shorten() { sed -u -E 's/(sha256:[0-9a-f]{8})[0-9a-f]{56}/\1.../g'; }
inventory() { setsid --wait "$here/inventory" </dev/null; }
state_end() { agent_mvm state | sed -n 's/^end //p'; }

# projection_of FILE GENERATION WEB WORKERS JOBS
projection_of() {
    {
        echo "prune tenants=yes pools=yes"
        tenant_line acme 3
        echo "rule acme egress=nat pps=0 mbps=0 cps=0"
        pool_line acme/web "$3"
        pool_line acme/workers "$4"
        tenant_line beta 4
        pool_line beta/jobs "$5"
    } | projection "$1" "$2"
}

# Shows the plan for a projection, then hands the projection to agentd, and shows what hostd does.
bring_to() {
    local file=$1 generation=$2 watcher
    agent_mvm state >"$out/state"
    mvm plan make --projection "$file" --state "$out/state" >"$file.plan" || give_up "no plan was made"
    say "The plan ($(grep -c '^[-+~]' "$file.plan") statements):"
    shorten <"$file.plan"
    say ""
    say "mvm plan diff, against the host:"
    mvm --no-colour plan diff "$file.plan" --state "$out/state" | shorten
    say ""
    say "agentd is given the projection; hostd runs:"
    setpriv --reuid=mvm --regid=mvm --clear-groups mvm --no-colour watch > >(shorten) 2>/dev/null &
    watcher=$!
    sleep 0.5
    want "$file"
    wait_until 120 converged "$generation" || { kill "$watcher"; give_up "the node did not come to generation $generation: $(cat /run/mvm-agentd/status.json)"; }
    sleep 0.5
    kill "$watcher"
    wait "$watcher" 2>/dev/null
    say ""
    say "The state:"
    agent_mvm state | shorten
}

# pings WHO FROM-INSTANCE ADDRESS passes|fails
pings() {
    local answer
    answer=$(guest_ping "$2" "$3")
    case $4:$answer in
    passes:reply* | fails:timeout*) right "$1: ping from $2 to $3: $answer" ;;
    *) wrong "$1: ping from $2 to $3: '$answer', though it $4" ;;
    esac
}

# refused WHAT RULE PLAN PROJECTION
refused() {
    local answer before
    before=$(state_end)
    answer=$(agent_mvm plan apply "$3" --projection "$4" 2>&1)
    local status=$?
    say "$1:"
    printf '%s\n' "$answer" | shorten | sed 's/^/    /'
    if [ $status -eq 1 ] && grep -q "$2" <<<"$answer" && [ "$(state_end)" = "$before" ]; then
        right "$1: refused by $2, and nothing has changed"
    else
        wrong "$1: not refused by $2 (exit $status)"
    fi
    say ""
}

title "A node: hostd, its workers and agentd, as their own users"
mkdir -p "$work"
prepare_node
mkdir -p "$out"
chmod 0755 "$out"
systemctl start mvm-hostd mvm-agentd || give_up "the services did not start"
wait_until 60 hostd_answers || give_up "hostd does not answer"
ps -o user:12,comm:16,args -C mvm-supervisor,mvm-gate,mvm-net,mvm-jail,mvm-agentd
say ""
"$(realpath /usr/libexec/mvm/firecracker/firecracker)" --version | head -1
agent_mvm state | shorten
if [ "$(instances | wc -l)" != 0 ]; then give_up "there are instances on this host already"; fi
inventory >"$out/before"
say "(an inventory of the host is taken: $(wc -l <"$out/before") lines)"

title "Desired state, signed: two tenants, three pools, six instances"
next_generation
projection_of "$out/one.projection" "$generation" 2 2 2
shorten <"$out/one.projection"
say ""
bring_to "$out/one.projection" "$generation"
if [ "$(instances | wc -l)" = 6 ]; then right "six instances run"; else wrong "$(instances | wc -l) instances run, not 6"; fi

title "Who can talk to whom"
if has_doubles; then
    mapfile -t acme < <(instances | grep '^acme/')
    mapfile -t beta < <(instances | grep '^beta/')
    pings "within a tenant" "${acme[0]}" "10.240.3.$(slot_of "${acme[3]}")" passes
    pings "within a tenant" "${beta[0]}" "10.240.4.$(slot_of "${beta[1]}")" passes
    pings "across tenants" "${acme[0]}" "10.240.4.$(slot_of "${beta[0]}")" fails
    pings "across tenants" "${beta[0]}" "10.240.3.$(slot_of "${acme[0]}")" fails
else
    say "(the guests of a real Firecracker are not told to ping)"
fi
if mvm --no-colour net verify; then
    right "and no other packet can cross either, says mvm net verify of what it reads from the kernel"
else
    wrong "mvm net verify does not find the network sound"
fi

title "The projection changes: acme/web has one less, beta/jobs one more"
instances | sort >"$out/running-before"
next_generation
projection_of "$out/two.projection" "$generation" 1 2 3
bring_to "$out/two.projection" "$generation"
say ""
if [ "$(instances | sort | comm -12 - "$out/running-before" | wc -l)" = 5 ]; then
    right "five of the six run on untouched"
else
    wrong "more than one of the six was touched"
fi

title "Plans that are refused"
base=$(state_end)
desired_now=sha256:$(sed '$d' "$out/two.projection" | sha256sum | cut -d' ' -f1)
first=$(instances | head -1)
# A plan of its own, whole and fresh, which asks for one instance more than is signed for.
printf 'mvm-plan 1\nnode %s\ngeneration %s\ndesired %s\nbase %s\n+ cgroup %s/i-deadbeef cpu=100 mem=256 pids=64 io=0\n' \
    "$node_name" "$generation" "$desired_now" "$base" "${first%/*}" | with_end >"$out/unauthorised.plan"
sed 's/pids=64/pids=63/' "$out/unauthorised.plan" >"$out/tampered.plan"
refused "a tampered plan (one digit of it changed)" V1 "$out/tampered.plan" "$out/two.projection"
refused "a stale plan (the first one again)" V6 "$out/one.projection.plan" "$out/two.projection"
refused "an unauthorised plan (an instance that nobody signed for)" V5 "$out/unauthorised.plan" "$out/two.projection"

title "Everything is removed"
next_generation
echo "prune tenants=yes pools=yes" | projection "$out/three.projection" "$generation"
bring_to "$out/three.projection" "$generation"
inventory >"$out/after"
say ""
# What hostd must not forget, or an old projection would be taken once more: which generation it has seen.
memory='^file f 600 [0-9:]* /var/lib/mvm/(journal/marks|records/state.header)$'
if diff <(grep -Ev "$memory" "$out/before") <(grep -Ev "$memory" "$out/after"); then
    right "the host is as it was before ($(wc -l <"$out/after") lines of inventory), but for hostd's memory of the generation:"
    grep -E "$memory" "$out/after"
else
    wrong "the host is not as it was before"
fi
if mvm --no-colour audit verify; then right "the audit log is whole"; else wrong "the audit log is not whole"; fi

say ""
if [ $failures = 0 ]; then say "All of it was as it should be."; else say "$failures things were not as they should be."; fi
exit $((failures > 0))
