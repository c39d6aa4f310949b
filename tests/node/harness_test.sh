#!/bin/bash
# The node VM's command service does what the tests that run through it rely on. Runs on the host, with the VM up.
set -uo pipefail
failures=0
node() { "$MVM_DEV" node "$@"; }
expect() {
    if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAILED: $1: '$2' is not '$3'"; failures=$((failures + 1)); fi
}

node exec --no-stdin sh -c 'exit 7'
expect "gives the command's exit status" $? 7
node exec --no-stdin sh -c 'kill -9 $$'
expect "gives 128 and the signal of a command that a signal ended" $? 137
node exec --no-stdin no-such-command 2>/dev/null
expect "gives 127 for a command that is not there" $? 127
expect "keeps stdout apart from stderr" "$(node exec --no-stdin sh -c 'echo out; echo err >&2' 2>/dev/null)" out
expect "keeps stderr apart from stdout" "$(node exec --no-stdin sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
expect "keeps words with blanks, quotes and nothing in them" "$(node exec --no-stdin printf '<%s>' 'a b' "c'd" '' $'e\nf')" "<a b><c'd><>"$'<e\nf>'
node exec --no-stdin --timeout 1 sleep 4711 2>/dev/null
expect "gives 124 when the time is over" $? 124
sleep 0.5
node exec --no-stdin pgrep -f 'sleep 4711' >/dev/null
expect "ends the command whose time is over" $? 1
began=$SECONDS
node exec --no-stdin sh -c 'sleep 60 & exit 5'
expect "does not wait for a process that the command left behind" "$? $((SECONDS - began < 30))" "5 1"
node exec --no-stdin pkill -f 'sleep 60'

data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
head -c 20000000 /dev/urandom >"$data/in"
node exec cat <"$data/in" >"$data/out"
expect "carries 20 MB in and out unchanged" "$(sha256sum <"$data/out")" "$(sha256sum <"$data/in")"
for i in 1 2 3 4; do node exec --no-stdin sh -c "sleep 1; seq $i 4 20000" >"$data/$i" & done
wait
expect "runs commands at once, each with its own output" "$(cat "$data"/[1-4] | sort -n | sha256sum)" "$(seq 1 20000 | sha256sum)"
mkdir -p "$data/tree/below"
echo text >"$data/tree/below/file"
ln -s below/file "$data/tree/link"
node push "$data/tree" /tmp/harness && node pull /tmp/harness/tree "$data/back"
expect "copies a tree in and out" "$(diff -r "$data/tree" "$data/back/tree" && readlink "$data/back/tree/link")" below/file
node exec --no-stdin rm -rf /tmp/harness
node qmp stop >/dev/null
expect "starts a VM that hangs again, and says so" "$(node exec --revive --patience 5 --no-stdin echo here 2>"$data/said") $(grep -c 'started again' "$data/said")" "here 1"
(sleep 1; node qmp stop >/dev/null) &
expect "starts a command again whose VM hung in the middle" "$(node exec --revive --patience 5 --timeout 10 --no-stdin sh -c 'sleep 3; echo here' 2>/dev/null)" here
MVM_NODE=none-of-this-name node exec --no-stdin true 2>/dev/null
expect "gives 125 when there is no VM" $? 125
exit $((failures > 0))
