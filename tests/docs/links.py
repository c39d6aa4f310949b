#!/usr/bin/env python3
"""What each executable links: nothing that holds power links a parser of text, nothing that parses text holds power.

links.py NAME=EXECUTABLE...
"""
import re
import subprocess
import sys

C_RUNTIME = {"libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"}
# The dynamic libraries of each, and no other.
LIBRARIES = {
    "supervisor": {"libcrypto.so.3"},
    "gate": {"libcrypto.so.3"},
    "net": {"libmnl.so.0", "libnftnl.so.11", "libcrypto.so.3"},
    "storage": {"libcryptsetup.so.12", "libext2fs.so.2", "libcrypto.so.3"},
    "jail": {"libcrypto.so.3"},
    "agentd": {"libcrypto.so.3"},
    "snapshot": {"libcrypto.so.3", "libzstd.so.1"},
    "vault": {"libcrypto.so.3", "libcurl.so.4"},
    "guest": {"libcrypto.so.3"},
    "pages": set(),
    "pages-room": set(),
}
PARSERS = r"tao::pegtl|mvm::lang::parse\("
ROOMS = r"mvm::(net|storage|snapshot::Files|jail|supervisor|gate|planner)::"
# Who carries keys cannot open them.
OPENS = r"mvm::hpke::|mvm::sealing::(seal|Session)"
TESTS = r"mvm::test|mvm::seccomp|MVM_FAULT|given_grants|seccomp_rule_add|testing::"
POWER = r"\bU (socket|bind|connect|ioctl|mount|unshare|clone|fork|execve|execveat|setuid|setresuid|mknod|pivot_root)(@|$)"
# What must not be among the symbols of each.
FORBIDDEN = {
    "supervisor": [PARSERS, OPENS, TESTS, r"mvm::(net|storage|jail|gate|planner)::", r"nlohmann"],
    "net": [PARSERS, OPENS, TESTS, r"mvm::(storage|jail|supervisor|gate|planner)::", r"\bU (fork|execve|execveat|mount)(@|$)", r"nlohmann"],
    "storage": [PARSERS, TESTS, r"mvm::(net|jail|supervisor|gate|planner)::", r"\bU (fork|execve|execveat|mount|socket)(@|$)", r"nlohmann"],
    "snapshot": [PARSERS, TESTS, r"mvm::(net|storage|jail|supervisor|gate|planner)::", r"\bU (fork|execve|execveat|mount|socket|connect|bind)(@|$)", r"nlohmann"],
    "jail": [PARSERS, OPENS, TESTS, r"mvm::(net|storage|supervisor|gate|planner)::", r"nlohmann"],
    "guest": [PARSERS, OPENS, TESTS, r"mvm::(net|storage|snapshot|jail|supervisor|gate|planner)::", POWER, r"mvm::sandbox::(spawn|become)", r"nlohmann"],
    "gate": [OPENS, TESTS, r"mvm::(net|storage|jail|supervisor|planner)::", POWER, r"mvm::sandbox::(spawn|become)"],
    # Static, so libraries' own symbols are in it; what the room itself calls is looked up in the room.
    "pages": [PARSERS, OPENS, TESTS, ROOMS, r"nlohmann"],
    "pages-room": [PARSERS, OPENS, TESTS, ROOMS, r"\bU (socket|bind|connect|mount|unshare|clone|execve|setuid|setresuid|mknod|pivot_root)(@|$)", r"nlohmann"],
    "vault": [PARSERS, TESTS, r"mvm::(net|storage|jail|supervisor|gate|lang|wire)::", r"mvm::planner::(step|compile|scan_desired|BrokerClient)", r"\bU (fork|execve|execveat|mount|bind|listen|accept4?|ptrace)(@|$)", r"mvm::sandbox::(spawn|become)"],
    "agentd": [OPENS, TESTS, r"mvm::(net|storage|jail|supervisor|gate)::", r"mvm::sandbox::(spawn|become)"],
}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def complaints(name, executable):
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "--wide", "--dynamic", executable)))
    for library in sorted(needed - C_RUNTIME - LIBRARIES[name]):
        yield f"{name} links {library}"
    symbols = output("nm", "-C", executable)
    if len(symbols.splitlines()) < 50:
        yield f"{name} has no symbols to look at"
    for pattern in FORBIDDEN[name]:
        for line in [line for line in symbols.splitlines() if re.search(pattern, line)][:3]:
            yield f"{name} has {line.strip()}"
    if name == "gate" and not re.search(PARSERS, symbols):
        yield "gate has no parser, so this test would not see one elsewhere"


def main():
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if set(given) != set(LIBRARIES):
        sys.exit(f"wanted: {' '.join(sorted(LIBRARIES))}")
    found = [complaint for name, executable in sorted(given.items()) for complaint in complaints(name, executable)]
    print("\n".join(found) or "nothing that parses text holds power, nothing that holds power parses text")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
