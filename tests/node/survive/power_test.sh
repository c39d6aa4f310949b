#!/bin/bash
# A power cut with microVMs running: afterwards hostd says that nothing stands but what is on the disk, and agentd brings the node
# back to what is wanted. Runs on the host, with the VM up.
set -euo pipefail
steps=/opt/mvm-stage/tests/power_steps.sh
"$MVM_DEV" node exec --revive --no-stdin "$steps" before
"$MVM_DEV" node reset --wait
"$MVM_DEV" node exec --no-stdin "$steps" after
