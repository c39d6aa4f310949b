#!/bin/bash
# `reset` is a power cut: what was synced is there afterwards, what was only written is not, and staged files are laid down once.
set -euo pipefail
node() { "$MVM_DEV" node "$@"; }
node exec --no-stdin sh -c 'echo kept >/root/kept; sync; echo lost >/root/lost'
before=$(node exec --no-stdin cat /proc/sys/kernel/random/boot_id)
node reset --wait
after=$(node exec --no-stdin cat /proc/sys/kernel/random/boot_id)
[ "$before" != "$after" ] || { echo "FAILED: it is the same boot"; exit 1; }
[ "$(node exec --no-stdin cat /root/kept)" = kept ] || { echo "FAILED: what was synced is gone"; exit 1; }
if node exec --no-stdin test -e /root/lost; then echo "FAILED: what was not synced is there: this was no power cut"; exit 1; fi
node exec --no-stdin rm /root/kept
echo "ok"
