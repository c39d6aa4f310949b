#!/bin/bash
# usage: run-gtest.sh BUILD PROGRAM ARGUMENT...
# How ctest runs a GoogleTest program of the node tier: its cases are listed here, and run in the VM.
set -euo pipefail
build=$1 program=$2
shift 2
case " $* " in *" --gtest_list_tests "*) exec "$program" "$@" ;; esac
MVM_BUILD=$build exec "$(dirname "$(realpath "$0")")/../../dev" node exec --no-stdin -- "/opt/mvm-stage/tests/$(basename "$program")" "$@"
