#!/usr/bin/env python3
"""What there is to trust, counted: `./dev report`.

report.py [--mvm MVM]                print the tables, as Markdown
report.py --check FILE [--mvm MVM]   exit 1 where FILE's tables are not these (lines of code: within a tenth)
report.py --write FILE [--mvm MVM]   put them there
A table stands in FILE between `<!-- report: NAME -->` and `<!-- end -->`. The table of primitives needs the mvm command.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
# process, whose policy is named as it is: the room of its code, its executable
PROCESSES = {
    "supervisor": ("supervisor", "mvm-hostd"),
    "gate": ("gate", "mvm-gate"),
    "net": ("net", "mvm-net"),
    "storage": ("storage", "mvm-storage"),
    "snapshot": ("snapshot", "mvm-snapshot"),
    "pages": ("pages", "mvm-pages"),
    "jail": ("jail", "mvm-jail"),
    "guest": ("guest", "mvm-guest"),
    "agentd": ("planner", "mvm-agentd"),
    "vault": ("vault", "mvm-vault"),
}


def policy(process):
    """The grants of a process: lists of (what, arguments, reason)."""
    path = TOP / "seccomp" / f"{process}.policy"
    found = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            grant, reason = line.split(" : ", 1)
            what, *arguments = grant.split()
            found.append((what, arguments, reason))
    return found


def of_kind(grants, kind):
    return [(arguments, reason) for what, arguments, reason in grants if what == kind]


def cmake_files():
    """(folder, text without comments) of each CMakeLists.txt."""
    for cmake in TOP.glob("**/CMakeLists.txt"):
        if not any(part.startswith("build") for part in cmake.relative_to(TOP).parts):
            yield cmake.parent, re.sub(r"#.*", "", cmake.read_text())


def rooms():
    """room: (folder, names of its .cc files, rooms that it links), from the room() calls of the CMake files."""
    found = {}
    for folder, text in cmake_files():
        for call in re.finditer(r"\broom\((\w+)([^)]*)\)", text):
            words, mode, lists = call.group(2).split(), None, {"SOURCES": [], "LINKS": []}
            for word in words:
                if word in lists:
                    mode = word
                elif mode and word != "NO_EXCEPTIONS":
                    lists[mode].append(word)
            sources = [name for name in lists["SOURCES"] if name.endswith(".cc")]
            found[call.group(1)] = (folder, sources, [name for name in lists["LINKS"] if re.fullmatch(r"[a-z_]+", name)])
    return found


def executable_of(name):
    """(its own .cc files, the libraries that it links) by the add_executable() and target_link_libraries() of its CMake file."""
    for folder, text in cmake_files():
        sources = re.search(rf"\badd_executable\({name}\s([^)]*)\)", text)
        if sources:
            links = re.search(rf"\btarget_link_libraries\({name} PRIVATE\s([^)]*)\)", text)
            return [folder / source for source in sources.group(1).split()], links.group(1).split()
    sys.exit(f"no CMake file makes {name}")


def code_lines(path):
    """Lines that are neither blank nor comment alone."""
    return sum(1 for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("//"))


def files_of(room, all_rooms):
    folder, sources, _ = all_rooms[room]
    own = {folder / name for name in sources}
    others = {pathlib.Path(name).stem for other, (where, names, _) in all_rooms.items() if where == folder and other != room for name in names}
    first = next(name for name, (where, _, _) in all_rooms.items() if where == folder)
    # A header belongs to the room of its .cc; one without, to the folder's first room.
    stems = {path.stem for path in own}
    own |= {path for path in folder.glob("*.h") if path.stem in stems or (room == first and path.stem not in others)}
    return own


def lines_of(room, all_rooms):
    return sum(code_lines(path) for path in files_of(room, all_rooms))


def linked(room, all_rooms, seen=None):
    seen = set() if seen is None else seen
    for other in all_rooms[room][2]:
        if other in all_rooms and other not in seen:
            seen.add(other)
            linked(other, all_rooms, seen)
    return seen


def row(cells):
    return "| " + " | ".join(str(cell).replace("<", "&lt;").replace("|", "\\|") for cell in cells) + " |"


def table(head, rows):
    return "\n".join([row(head), row("---" for _ in head), *(row(cells) for cells in rows)])


def processes_table():
    all_rooms = rooms()
    rows = []
    for process, (room, executable) in PROCESSES.items():
        grants = policy(process)
        sources, links = executable_of(executable)
        calls = of_kind(grants, "allow")
        names = {arguments[0] for arguments, _ in calls}
        narrowed = {name for name in names if all(len(arguments) > 1 for arguments, _ in calls if arguments[0] == name)}
        own = lines_of(room, all_rooms) + sum(code_lines(path) for path in sources)
        beside = {name for name in links if name in all_rooms and name != room}
        libraries = sorted(beside.union(*(linked(name, all_rooms) for name in {room, *beside})))
        rows.append([process, f"`{executable}`", own,
                     ", ".join(f"{name} {lines_of(name, all_rooms)}" for name in libraries),
                     f"{len(names)} ({len(narrowed)} by argument)",
                     ", ".join(arguments[0].upper() for arguments, _ in of_kind(grants, "cap")) or "none",
                     "open: no Landlock" if of_kind(grants, "files") else
                     ", ".join(f"`{arguments[0]}`" for arguments, _ in of_kind(grants, "path")) or "none",
                     f"`{of_kind(grants, 'user')[0][0][0]}`"])
    return table(["process", "executable", "its lines", "lines of the rooms it links", "system calls", "capabilities", "files", "user"], rows)


def capabilities_table():
    rows = [[process, arguments[0].upper(), reason] for process in PROCESSES for arguments, reason in of_kind(policy(process), "cap")]
    return table(["process", "capability", "why"], rows)


def files_table():
    rows = [[process, f"`{arguments[0]}`", arguments[1].replace(",", ", "), reason]
            for process in PROCESSES for arguments, reason in of_kind(policy(process), "path")]
    return table(["process", "path", "may", "why"], rows)


def primitives_table(mvm):
    words = json.loads(subprocess.run([mvm, "primitives", "--json"], check=True, capture_output=True, text=True).stdout)["words"]
    rows = [[f"`{word['word']}`", word["signs"], word["worker"], word["makes"], word["costs"]] for word in words if word.get("worker")]
    return table(["statement", "signs", "worker", "what it makes", "what that costs"], rows)


def tables(mvm):
    made = {"processes": processes_table(), "capabilities": capabilities_table(), "files": files_table()}
    if mvm:
        made["primitives"] = primitives_table(mvm)
    return made


def with_tables(text, made):
    for name, content in made.items():
        pattern = re.compile(rf"(<!-- report: {name} -->\n).*?(<!-- end -->)", re.S)
        if not pattern.search(text):
            sys.exit(f"there is no place for the table \"{name}\"")
        text = pattern.sub(lambda place: place.group(1) + content + "\n" + place.group(2), text)
    return text


def agree(written, counted):
    """The same text, but that counts of lines (columns 3 and 4 of the processes) may be a tenth off."""
    if written == counted:
        return True
    one, other = written.splitlines(), counted.splitlines()
    if len(one) != len(other):
        return False
    for left, right in zip(one, other):
        if left == right:
            continue
        cells, wanted = left.split(" | "), right.split(" | ")
        if len(cells) != len(wanted) or len(cells) != 8 or cells[:2] + cells[4:] != wanted[:2] + wanted[4:]:
            return False
        for cell, want in zip(cells[2:4], wanted[2:4]):
            numbers, counts = re.findall(r"\d+", cell), re.findall(r"\d+", want)
            if re.sub(r"\d+", "N", cell) != re.sub(r"\d+", "N", want):
                return False
            if any(abs(int(number) - int(count)) * 10 > int(count) for number, count in zip(numbers, counts)):
                return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", type=pathlib.Path)
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--mvm")
    options = parser.parse_args()
    made = tables(options.mvm)
    if options.check:
        if not agree(options.check.read_text(), with_tables(options.check.read_text(), made)):
            sys.exit(f"{options.check}: its tables are not what `./dev report` counts; `tests/docs/report.py --write {options.check}` mends that")
    elif options.write:
        options.write.write_text(with_tables(options.write.read_text(), made))
    else:
        print("\n\n".join(f"{name}\n\n{content}" for name, content in made.items()))


if __name__ == "__main__":
    main()
