#!/usr/bin/env python3
"""What headers say that they are proven by is there."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    missing = []
    for header in TOP.glob("*/**/*.h"):
        if header.relative_to(TOP).parts[0].startswith("build"):
            continue
        comment = " ".join(line.removeprefix("//") for line in header.read_text().splitlines() if line.startswith("//"))
        for said in re.findall(r"Proven by:(.*)", comment):
            for path in re.findall(r"(?:tests|fuzz)/[\w*./-]*[\w/]", said):
                if not list(TOP.glob(path)):
                    missing.append(f"{header.relative_to(TOP)}: {path}")
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
