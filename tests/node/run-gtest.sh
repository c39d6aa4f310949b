#!/bin/bash
# usage: run-gtest.sh BUILD VM PROGRAM ARGUMENT...
# How ctest runs a GoogleTest program of the node tier: its cases are listed here, and run in the VM.
set -euo pipefail
build=$1 vm=$2 program=$3
shift 3
case " $* " in *" --gtest_list_tests "*) exec "$program" "$@" ;; esac
MVM_BUILD=$build MVM_NODE=$vm exec "$(dirname "$(realpath "$0")")/../../dev" node exec --no-stdin -- "/opt/mvm-stage/tests/$(basename "$program")" "$@"
