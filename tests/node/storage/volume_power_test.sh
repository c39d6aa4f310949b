#!/bin/bash
# Power cuts while a volume is made, opened, written by its guest, rekeyed and destroyed: afterwards what the guest was told is written is there, nothing is
# mapped, and whatever was half done is done again or removed. Runs on the host, with the VM up.
set -euo pipefail
steps=/opt/mvm-stage/tests/volume_power_steps.sh
told=$(mktemp)
trap 'rm -f "$told"' EXIT
node() { "$MVM_DEV" node "$@"; }

# cut WAY: the way goes on in the VM until the power does; what it said so far is in $told.
cut() {
    echo "== $1"
    node exec --no-stdin --timeout 120 "$steps" "$1" >"$told" &
    local way=$!
    until grep -q '^now$' "$told"; do
        kill -0 $way 2>/dev/null || { cat "$told"; exit 1; }
        sleep 0.2
    done
    sleep "$(shuf -i 0-2 -n 1).$(shuf -i 0-9 -n 1)"
    node reset --wait
    wait $way || true
    grep -v '^told ' "$told" || true
    node exec --no-stdin --timeout 250 "$steps" after "$(sed -n 's/^told //p' "$told" | tail -1)"
}

node exec --no-stdin --timeout 120 "$steps" begin
for way in making writing rekeying destroying; do cut $way; done
node exec --no-stdin --timeout 250 "$steps" end
