#!/usr/bin/python3
"""deploy/ and seccomp/ agree: each process's user is made by sysusers.d, and mvm-hostd.service leaves the capabilities that its
processes keep, and beyond those only what starting them takes."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
OUTSIDE_HOSTD = {"agentd", "vault"}  # units of their own
TO_START_WORKERS = {"setuid", "setgid", "setpcap", "chown", "fowner"}


def words(path: pathlib.Path, first: str) -> set[str]:
    return {line.split()[1] for line in path.read_text(encoding="ascii").splitlines() if line.startswith(first + " ")}


def main() -> int:
    made = words(TOP / "deploy/sysusers.d/mvm.conf", "u")
    unit = (TOP / "deploy/systemd/mvm-hostd.service").read_text(encoding="ascii")
    bounding = {name.lower() for name in re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1].replace("CAP_", "").split()}
    users, kept, wrong = set(), set(), []
    policies = sorted((TOP / "seccomp").glob("*.policy"))
    for policy in policies:
        users |= words(policy, "user")
        if policy.stem not in OUTSIDE_HOSTD:
            kept |= words(policy, "cap")
        elif words(policy, "cap"):
            wrong.append(f"{policy.stem} keeps capabilities")
    wrong += [f"no policy names the user {user}" for user in made - users]
    wrong += [f"sysusers.d does not make {user}" for user in users - made - {"root"}]
    wrong += [f"mvm-hostd.service takes CAP_{cap.upper()} away, which a policy grants" for cap in kept - bounding]
    wrong += [f"mvm-hostd.service leaves CAP_{cap.upper()}, which nothing keeps or needs to start workers"
              for cap in bounding - kept - TO_START_WORKERS]
    print("\n".join(wrong) or f"ok: {len(policies)} policies")
    return 1 if wrong or not policies else 0


if __name__ == "__main__":
    sys.exit(main())
