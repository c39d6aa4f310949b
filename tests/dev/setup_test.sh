#!/bin/bash
# usage: setup_test.sh DEV. `./dev setup` on a machine whose dpkg has never heard of most of the packages, knows that one was removed,
# and has one installed: dpkg-query then fails, and what it has told still counts. dpkg-query, apt-get and id are the test's own.
set -euo pipefail
dev=$1
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
cat >"$tools/dpkg-query" <<'FAKE'
#!/bin/sh
printf 'installed g++\nconfig-files cmake\n'
exit 1
FAKE
cat >"$tools/apt-get" <<FAKE
#!/bin/sh
echo "\$@" >>"$tools/asked"
FAKE
printf '#!/bin/sh\necho 0\n' >"$tools/id"
chmod +x "$tools"/*
PATH=$tools:$PATH "$dev" setup 2>"$tools/said"
for package in cmake qemu-system-x86 clang-19; do
    grep -qw -- "install .* $package" "$tools/asked" || { echo "does not install $package: $(cat "$tools/asked" "$tools/said")"; exit 1; }
done
if grep -qw -- "g++" "$tools/asked"; then echo "installs what is installed"; exit 1; fi

printf '#!/bin/sh\necho 1000\n' >"$tools/id"
if PATH=$tools:$PATH "$dev" setup 2>"$tools/said"; then echo "goes on without packages and without root"; exit 1; fi
grep -q "needs root: .*cmake" "$tools/said" || { echo "does not say what is missing: $(cat "$tools/said")"; exit 1; }
