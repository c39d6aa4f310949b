"""The frames between the host and the node VM's command service, as agent.cc has them, and the state directory's names."""

import os
import struct

HEADER = struct.Struct("<III")  # stream, type, length of what follows
MAX_PAYLOAD = 64 * 1024
STDIN_WINDOW = 256 * 1024  # bytes of stdin that may be under way to one command

START, STDIN, STDIN_END, SIGNAL, WINDOW, PROBE = 1, 2, 3, 4, 5, 6
HELLO, STDOUT, STDERR, EXIT, CONSUMED = 16, 17, 18, 19, 20
REPLY = 32  # daemon to client alone: JSON

FLAG_TERMINAL = 1

AGENT_SOCKET, CONSOLE_SOCKET, NODE_SOCKET, QMP_SOCKET = "agent.sock", "console.sock", "node.sock", "qmp.sock"
CONSOLE_LOG, DAEMON_LOG = "console.log", "noded.log"


def frame(stream: int, kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(stream, kind, len(payload)) + payload


def exit_code(wait_status: int) -> int:
    """A shell's view of a wait status: 128 + signal for a command that a signal ended."""
    code = os.waitstatus_to_exitcode(wait_status)
    return 128 - code if code < 0 else code
