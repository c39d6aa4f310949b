#!/usr/bin/python3
"""Talks to one node VM, which noded.py holds: starts it, runs commands in it, copies files, ends it.

Exit status: exec and shell give the command's own (128 + signal when a signal ended it), 124 when --timeout ended it, and
125 when the node VM is not there or went away; everything else gives 0 or 1.
"""

import argparse
import fcntl
import json
import os
import selectors
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import tty

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
GONE = 125
TIMED_OUT = 124
UP_ARGUMENTS = "up.json"  # in the state directory


def fail(message: str, code: int = 1):
    print(f"node: {message}", file=sys.stderr)
    sys.exit(code)


def connect(state: str) -> socket.socket:
    conn = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        conn.connect(f"/proc/self/fd/{directory}/{wire.NODE_SOCKET}")
    finally:
        os.close(directory)
    return conn


def receive(conn: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = conn.recv(size - len(parts))
        if not part:
            raise ConnectionError("the node VM has ended")
        parts += part
    return bytes(parts)


def receive_frame(conn: socket.socket):
    _, kind, length = wire.HEADER.unpack(receive(conn, wire.HEADER.size))
    return kind, receive(conn, length)


def ask(state: str, *, patience: float | None = None, **request):
    conn = connect(state)
    conn.settimeout(patience)
    conn.sendall(json.dumps(request).encode() + b"\n")
    return json.loads(receive_frame(conn)[1])


class Session:
    """One command in the VM, its stdin, stdout and stderr joined to descriptors here."""

    def __init__(self, state: str, argv: list[str], *, terminal=False, stdin=0, stdout=1, stderr=2, timeout=0.0):
        self.conn = connect(state)
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.deadline = time.monotonic() + timeout if timeout else None
        self.window = wire.STDIN_WINDOW
        self.selector = selectors.DefaultSelector()
        self.reading = False
        self.conn.sendall(json.dumps({"op": "exec", "argv": argv, "terminal": terminal}).encode() + b"\n")

    def send(self, kind: int, payload: bytes = b""):
        self.conn.sendall(wire.frame(0, kind, payload))

    def signal(self, number: int):
        self.send(wire.SIGNAL, struct.pack("<I", number))

    def watch_stdin(self):
        want = self.stdin is not None and self.window > 0
        if want != self.reading:
            try:
                self.selector.register(self.stdin, selectors.EVENT_READ) if want else self.selector.unregister(self.stdin)
            except PermissionError:  # a regular file or /dev/null: always readable, and epoll will not have it
                self.pump_file()
                return
            self.reading = want

    def pump_file(self):
        while self.stdin is not None and self.window > 0:
            self.read_stdin()

    def read_stdin(self):
        data = os.read(self.stdin, min(wire.MAX_PAYLOAD, self.window))
        if data:
            self.window -= len(data)
            self.send(wire.STDIN, data)
        else:
            self.end_stdin()

    def end_stdin(self):
        self.send(wire.STDIN_END)
        if self.reading:
            self.selector.unregister(self.stdin)
            self.reading = False
        self.stdin = None

    def run(self) -> int:
        try:
            return self.loop()
        except ConnectionError:
            print("node: the node VM has ended", file=sys.stderr)
            return GONE

    def loop(self) -> int:
        self.selector.register(self.conn, selectors.EVENT_READ)
        if self.stdin is None:
            self.send(wire.STDIN_END)
        while True:
            self.watch_stdin()
            left = None if self.deadline is None else self.deadline - time.monotonic()
            if left is not None and left <= 0:
                print("node: timed out", file=sys.stderr)
                return TIMED_OUT  # the daemon kills the command when this end closes
            for key, _ in self.selector.select(left):
                if key.fileobj is not self.conn:
                    self.read_stdin()
                    continue
                kind, payload = receive_frame(self.conn)
                if kind == wire.STDOUT:
                    write_all(self.stdout, payload)
                elif kind == wire.STDERR:
                    write_all(self.stderr, payload)
                elif kind == wire.CONSUMED:
                    self.window += struct.unpack("<I", payload)[0]
                elif kind == wire.EXIT:
                    return wire.exit_code(struct.unpack("<I", payload)[0])
                elif kind == wire.REPLY:
                    print(f"node: {json.loads(payload)['error']}", file=sys.stderr)
                    return GONE


def write_all(fd: int, data: bytes):
    while data:
        data = data[os.write(fd, data):]


def run_in_node(args, argv, **options) -> int:
    try:
        session = Session(args.state, argv, **options)
    except (FileNotFoundError, ConnectionRefusedError):
        fail("no node VM is up here (./dev node up)", GONE)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: session.signal(caught))
    return session.run()


def come_up(args, begin) -> int:
    """Until the VM is usable that `begin` sets going; one that does not come up is begun once more."""
    begin()
    if "error" in ask(args.state, op="wait", seconds=args.boot_timeout):
        print("node: the VM does not come up, it is begun again", file=sys.stderr)
        diagnose(args)
        begin()
    return wait_until_up(args)


def command_up(args) -> int:
    return come_up(args, lambda: start(args))


def start(args):
    command_down(args)
    os.makedirs(args.state, exist_ok=True)
    for name in (wire.NODE_SOCKET, wire.AGENT_SOCKET, wire.QMP_SOCKET, wire.CONSOLE_SOCKET):
        if os.path.exists(os.path.join(args.state, name)):
            os.unlink(os.path.join(args.state, name))
    with open(os.path.join(args.state, UP_ARGUMENTS), "w", encoding="utf-8") as saved:
        json.dump(vars(args), saved)
    command = [sys.executable, os.path.join(HERE, "noded.py"), "--state", args.state, "--image", args.image, "--accel", args.accel,
               "--memory", str(args.memory), "--cpus", str(args.cpus), "--lifetime", str(args.lifetime), f"--append={args.append}"]
    if args.stage:
        command += ["--stage", args.stage]
    log_path = os.path.join(args.state, wire.DAEMON_LOG)
    with open(log_path, "wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    began = time.monotonic()
    while not os.path.exists(os.path.join(args.state, wire.NODE_SOCKET)):
        if daemon.poll() is not None or time.monotonic() - began > 20:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                fail(f"did not start: {log.read()}")
        time.sleep(0.02)


def wait_until_up(args) -> int:
    answer = ask(args.state, op="wait", seconds=args.boot_timeout)
    if "error" in answer:
        fail(answer["error"] + f"; see {args.state}/{wire.CONSOLE_LOG}")
    with open(os.devnull, "wb") as null:
        Session(args.state, ["systemctl", "is-system-running", "--wait"], stdin=None, stdout=null.fileno(), timeout=args.boot_timeout).run()
    answer = ask(args.state, op="status")
    print(f"node: up in {answer['seconds']:.1f} s ({answer['accel']}, commands after {answer['hello_seconds']:.1f} s)", file=sys.stderr)
    failed = subprocess.run([sys.executable, __file__, "--state", args.state, "exec", "systemctl", "--failed", "--plain", "--no-legend"],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout.strip()
    if failed:
        print(f"node: units that failed:\n{failed}", file=sys.stderr)
    return 0


def command_down(args) -> int:
    """Ends the VM at once, as a power cut does, and waits until it is gone."""
    try:
        ask(args.state, op="kill")
    except (FileNotFoundError, ConnectionError):
        return 0
    for _ in range(500):
        try:
            connect(args.state).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return 0
        time.sleep(0.01)
    fail("did not end")


def command_reset(args) -> int:
    def cut():
        ask(args.state, op="reset")

    if args.wait:
        return come_up(args, cut)
    cut()
    return 0


def answers(args) -> bool:
    """Whether a command in the VM works: one that is alive may be slow, one that hangs never answers."""
    with open(os.devnull, "wb") as null:
        return Session(args.state, ["true"], stdin=None, stdout=null.fileno(), stderr=null.fileno(), timeout=args.patience).run() == 0


def diagnose(args) -> bool:
    """Prints what QEMU and the kernel of a VM say in which something took too long; whether it still answers."""
    said = os.path.join(args.state, wire.CONSOLE_LOG)
    before = os.path.getsize(said)
    try:
        known = ask(args.state, patience=60, op="diagnose")
    except TimeoutError:
        known = "nothing"
    alive = answers(args)
    print(f"node: QEMU says {json.dumps(known)}; the VM {'answers' if alive else 'does not answer'}; its kernel says:", file=sys.stderr)
    with open(said, "rb") as console:
        console.seek(max(0, before - 4096))
        print(console.read(65536).decode(errors="replace"), file=sys.stderr)
    return alive


def start_again(args):
    """As `up` did it last, and so with the disk that the image has."""
    print("node: the VM hangs; it is started again", file=sys.stderr)
    with open(os.path.join(args.state, UP_ARGUMENTS), encoding="utf-8") as saved:
        command_up(argparse.Namespace(**json.load(saved)))


def command_exec(args) -> int:
    argv = args.argv[1:] if args.argv[:1] == ["--"] else args.argv
    if not argv:
        fail("exec what?")

    def attempt() -> int:
        return run_in_node(args, argv, stdin=None if args.no_stdin else 0, timeout=args.timeout)

    if not args.revive:
        return attempt()
    if not answers(args) and not diagnose(args):
        start_again(args)
    status = attempt()
    if status != TIMED_OUT or diagnose(args):
        return status
    start_again(args)  # nothing in it can be judged: an emulator that hangs is no failure of what runs in it
    return attempt()


def command_shell(args) -> int:
    session = Session(args.state, args.argv or ["bash", "-l"], terminal=True)

    def resize(*_):
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))
        session.send(wire.WINDOW, struct.pack("<HH", rows, columns))

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        resize()
        signal.signal(signal.SIGWINCH, resize)
        return session.run()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def command_push(args) -> int:
    """tar over the same channel: SOURCE... into the directory TARGET of the VM."""
    *sources, target = args.paths
    words = [word for source in sources for word in ("-C", os.path.dirname(os.path.abspath(source)), os.path.basename(os.path.abspath(source)))]
    with subprocess.Popen(["tar", "-c", *words], stdout=subprocess.PIPE) as tar:
        script = f"mkdir -p {shlex.quote(target)} && exec tar -x -C {shlex.quote(target)}"
        status = run_in_node(args, ["sh", "-c", script], stdin=tar.stdout.fileno())
    return status or tar.returncode


def command_pull(args) -> int:
    """SOURCE... of the VM into the directory TARGET here."""
    *sources, target = args.paths
    os.makedirs(target, exist_ok=True)
    words = [word for source in sources for word in ("-C", os.path.dirname(source) or "/", os.path.basename(source))]
    with subprocess.Popen(["tar", "-x", "-C", target], stdin=subprocess.PIPE) as tar:
        status = run_in_node(args, ["tar", "-c", *words], stdin=None, stdout=tar.stdin.fileno())
        tar.stdin.close()
    return status or tar.returncode


def command_status(args) -> int:
    try:
        print(json.dumps(ask(args.state, op="status")))
    except (FileNotFoundError, ConnectionRefusedError):
        fail("no node VM is up here")
    return 0


def command_qmp(args) -> int:
    print(json.dumps(ask(args.state, op="qmp", command=args.command)))
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", required=True, help="the node VM's state directory")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start the VM, ending one that is up, and wait until it is usable")
    up.add_argument("--image", required=True)
    up.add_argument("--stage")
    up.add_argument("--accel", choices=["kvm", "tcg"], required=True)
    up.add_argument("--memory", type=int, default=2048)
    up.add_argument("--cpus", type=int, default=2)
    up.add_argument("--append", default="")
    up.add_argument("--lifetime", type=int, default=0)
    up.add_argument("--boot-timeout", type=float, default=180)
    up.set_defaults(patience=10)
    verbs.add_parser("down", help="end the VM at once")
    reset = verbs.add_parser("reset", help="power cut: reset the VM, the disk as it is")
    reset.add_argument("--wait", action="store_true", help="wait until it is usable again")
    reset.add_argument("--boot-timeout", type=float, default=180)
    reset.set_defaults(patience=10)
    execute = verbs.add_parser("exec", help="run a command in the VM")
    execute.add_argument("--timeout", type=float, default=0, help="seconds")
    execute.add_argument("--no-stdin", action="store_true")
    execute.add_argument("--revive", action="store_true",
                         help="say what is known of a VM in which the command times out; start one that hangs again, and the command once more")
    execute.add_argument("--patience", type=float, default=60, help="seconds after which a VM hangs in which `true` has not ended")
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    shell = verbs.add_parser("shell", help="a terminal in the VM")
    shell.add_argument("argv", nargs=argparse.REMAINDER)
    for verb, text in (("push", "copy files into a directory of the VM"), ("pull", "copy files of the VM into a directory here")):
        verbs.add_parser(verb, help=text).add_argument("paths", nargs="+")
    verbs.add_parser("status", help="the state of the VM, JSON")
    verbs.add_parser("qmp", help="a command of QEMU's monitor (stop, cont, query-status)").add_argument("command")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    return globals()["command_" + args.verb](args)


if __name__ == "__main__":
    sys.exit(main())
