#!/bin/bash
# A power cut with microVMs running: afterwards hostd says that nothing stands but what is on the disk, and agentd brings the node
# back to what is wanted. Runs on the host, with the VM up. A VM that hangs is tried once more, from the start.
set -euo pipefail
steps=/opt/mvm-stage/tests/power_steps.sh
for _ in 1 2; do
    "$MVM_DEV" node exec --revive --no-stdin --timeout 200 "$steps" before
    "$MVM_DEV" node reset --wait
    status=0
    "$MVM_DEV" node exec --no-stdin --timeout 250 "$steps" after || status=$?
    [ $status = 124 ] || exit $status
done
exit 1
