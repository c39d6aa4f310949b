#!/usr/bin/python3
"""Holds one node VM: starts QEMU, owns the host's end of its command service, and shares it among many clients.

Owns a state directory (sockets and logs); paths below it are relative, because a Unix socket's name is at most
108 bytes. Ends when QEMU ends, and QEMU ends when this does (PR_SET_PDEATHSIG).
"""

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
import time

import wire

PR_SET_PDEATHSIG = 1
SILENCE = 10  # seconds that a connection to the command service is given until the first answer
CLIENT_BUFFER = 64 * 1024 * 1024  # bytes held for a client that reads slowly, before every stream waits for it


def qemu_command(args: argparse.Namespace) -> list[str]:
    if args.accel == "kvm":
        accel, boot = ["-accel", "kvm", "-cpu", "host"], ""
    else:
        # What TCG has translated it finds again by its virtual address, so programs are loaded where they were the last time: fork and exec are four
        # times faster without randomization. Page tables of four levels and SSE are less work to emulate than five and AVX.
        accel, boot = ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off,avx=off,avx2=off"], "norandmaps"
    disk = "if=none,format=raw,file.locking=off,cache=unsafe"
    command = ["qemu-system-x86_64", *accel, "-smp", str(args.cpus), "-m", str(args.memory), "-nodefaults", "-nic", "none",
               "-display", "none", "-kernel", f"{args.image}/vmlinuz", "-initrd", f"{args.image}/initrd",
               "-append", f"console=ttyS0 quiet panic=1 sysrq_always_enabled=1 systemd.show_status=no {boot} {args.append}",
               "-drive", f"{disk},id=root,snapshot=on,file={args.image}/root.ext4", "-device", "virtio-blk-pci,drive=root"]
    if args.stage:
        command += ["-drive", f"{disk},id=stage,readonly=on,file={args.stage}", "-device", "virtio-blk-pci,drive=stage"]
    return command + [
        "-chardev", f"socket,id=console,path={wire.CONSOLE_SOCKET},server=on,wait=off,logfile={wire.CONSOLE_LOG}", "-serial", "chardev:console",
        "-qmp", f"unix:{wire.QMP_SOCKET},server=on,wait=off",
        "-chardev", f"socket,id=agent,path={wire.AGENT_SOCKET},server=on,wait=off",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=mvm.agent"]


class Qmp:
    """QEMU's monitor: one request at a time, events to a callback."""

    def __init__(self, on_event):
        self.on_event = on_event
        self.lock = asyncio.Lock()
        self.answers: asyncio.Queue = asyncio.Queue()

    async def connect(self):
        self.reader, self.writer = await connect_when_there(wire.QMP_SOCKET)
        await self.reader.readline()
        self.task = asyncio.create_task(self.read())
        await self.command("qmp_capabilities")

    async def read(self):
        while line := await self.reader.readline():
            message = json.loads(line)
            if "event" in message:
                self.on_event(message)
            else:
                self.answers.put_nowait(message)
        self.answers.put_nowait({"error": {"desc": "QEMU has ended"}})

    async def command(self, name: str, **arguments):
        async with self.lock:
            request = {"execute": name, **({"arguments": arguments} if arguments else {})}
            self.writer.write(json.dumps(request).encode() + b"\n")
            return await self.answers.get()


async def connect_when_there(path: str):
    for _ in range(500):
        try:
            return await asyncio.open_unix_connection(path, limit=1 << 20)
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.sleep(0.01)
    raise TimeoutError(path)


class Node:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.started = time.monotonic()
        self.hello = asyncio.Event()
        self.hello_after = None
        self.agent_is = None  # its boot id and pid
        self.boots = 0
        self.next_stream = 1
        self.streams: dict[int, asyncio.StreamWriter] = {}
        self.agent = None
        self.link = None
        self.resetting = False
        self.was_reset = asyncio.Event()

    async def run(self):
        self.qemu = await asyncio.create_subprocess_exec(
            *qemu_command(self.args), stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.qmp = Qmp(self.on_event)
        try:
            await self.qmp.connect()
            self.link = asyncio.create_task(self.hold_agent())
            await asyncio.start_unix_server(self.serve, wire.NODE_SOCKET, limit=1 << 20)
            await asyncio.wait_for(self.qemu.wait(), self.args.lifetime or None)
        except asyncio.TimeoutError:
            print("noded: lifetime over", file=sys.stderr)
        finally:
            if self.qemu.returncode is None:
                self.qemu.kill()
                await self.qemu.wait()
            self.drop_streams("the node VM has ended")
        await asyncio.sleep(0.05)  # lets the last frames reach their clients

    def on_event(self, event: dict):
        if event["event"] != "RESET":
            return
        if self.resetting:
            self.was_reset.set()
        else:
            self.unlink("the node VM was reset")
            self.relink()

    def unlink(self, why: str):
        """Forgets the connection to the agent: what was half sent before a reset must not be read as part of what follows."""
        self.link.cancel()
        if self.agent:
            self.agent.close()
        self.agent = None
        self.hello.clear()
        self.started = time.monotonic()
        self.drop_streams(why)

    def relink(self):
        self.link = asyncio.create_task(self.hold_agent())

    def drop_streams(self, why: str):
        for writer in self.streams.values():
            writer.write(wire.frame(0, wire.REPLY, json.dumps({"error": why}).encode()))
        self.streams.clear()

    async def hold_agent(self):
        """QEMU takes one connection at a time, and may hang up on one that comes while it lets go of the last, or never take it; what
        the service says while nobody is connected is lost. So: connect and ask again until it has said who it is."""
        while True:
            reader, self.agent = await connect_when_there(wire.AGENT_SOCKET)
            self.agent.write(wire.frame(0, wire.PROBE))
            asker = asyncio.create_task(self.ask_again(self.agent))
            try:
                await self.read_agent(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.hello.clear()
                self.drop_streams("the connection to the command service broke")
                await asyncio.sleep(0.05)
            finally:
                asker.cancel()

    async def ask_again(self, agent):
        await asyncio.sleep(SILENCE)
        if not self.hello.is_set():
            print("noded: the command service is silent, its connection is made anew", file=sys.stderr)
            agent.close()

    async def read_agent(self, reader):
        while True:
            stream, kind, length = wire.HEADER.unpack(await reader.readexactly(wire.HEADER.size))
            payload = await reader.readexactly(length)
            if kind == wire.HELLO:
                self.greeted(payload.decode())
            elif writer := self.streams.get(stream):
                writer.write(wire.frame(stream, kind, payload))
                await self.drain(writer)
                if kind == wire.EXIT:
                    self.streams.pop(stream, None)

    def greeted(self, who: str):
        if who != self.agent_is:
            self.drop_streams("the command service was started again")
            self.agent_is = who
            self.boots += 1
        self.hello_after = time.monotonic() - self.started
        self.hello.set()

    async def drain(self, writer):
        try:
            await writer.drain()
        except ConnectionError:
            pass  # serve() sees it too, and ends the command

    async def serve(self, reader, writer):
        writer.transport.set_write_buffer_limits(high=CLIENT_BUFFER)
        try:
            line = await reader.readline()
            if not line:
                return
            request = json.loads(line)
            if request["op"] == "exec":
                await self.serve_exec(request, reader, writer)
            else:
                answer = await getattr(self, "do_" + request["op"])(request)
                writer.write(wire.frame(0, wire.REPLY, json.dumps(answer).encode()))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def serve_exec(self, request, reader, writer):
        if not self.hello.is_set():
            writer.write(wire.frame(0, wire.REPLY, b'{"error": "the command service is not up yet"}'))
            return
        stream, self.next_stream = self.next_stream, self.next_stream + 1
        self.streams[stream] = writer
        agent = self.agent
        words = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in request["argv"])
        flags = wire.FLAG_TERMINAL if request.get("terminal") else 0
        agent.write(wire.frame(stream, wire.START, bytes([flags]) + words))
        try:
            while True:
                _, kind, length = wire.HEADER.unpack(await reader.readexactly(wire.HEADER.size))
                payload = await reader.readexactly(length)
                if stream not in self.streams:
                    return
                agent.write(wire.frame(stream, kind, payload))
                await agent.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            if self.streams.pop(stream, None):
                agent.write(wire.frame(stream, wire.SIGNAL, int(signal.SIGKILL).to_bytes(4, "little")))

    async def do_wait(self, request):
        try:
            await asyncio.wait_for(self.hello.wait(), request["seconds"])
        except asyncio.TimeoutError:
            return {"error": f"no command service after {request['seconds']} s"}
        return await self.do_status(request)

    async def do_status(self, _request):
        return {"pid": os.getpid(), "qemu": self.qemu.pid, "accel": self.args.accel, "up": self.hello.is_set(), "boots": self.boots,
                "hello_seconds": self.hello_after, "seconds": time.monotonic() - self.started}

    async def do_reset(self, _request):
        """Power off and on again, the disk as it is: what the guest had not yet written to it is lost."""
        self.resetting = True
        self.was_reset.clear()
        await self.qmp.command("stop")
        self.unlink("the node VM was reset")
        await self.qmp.command("system_reset")
        await self.was_reset.wait()
        self.relink()
        self.resetting = False
        return await self.qmp.command("cont")

    async def do_kill(self, _request):
        self.qemu.kill()
        return {}

    async def do_diagnose(self, _request):
        """What QEMU says of the VM, and the kernel of it on its console (sysrq after a break): memory, blocked tasks, both CPUs."""
        status = await self.qmp.command("query-status")
        try:
            _, console = await asyncio.open_unix_connection(wire.CONSOLE_SOCKET)
        except OSError as error:
            return {"qemu": status, "error": str(error)}
        for key in "9mwl":
            await self.qmp.command("chardev-send-break", id="console")
            console.write(key.encode())
            await asyncio.sleep(1)
        console.close()
        return {"qemu": status}

    async def do_qmp(self, request):
        return await self.qmp.command(request["command"], **request.get("arguments", {}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", required=True, help="directory for sockets and logs")
    parser.add_argument("--image", required=True, help="directory with root.ext4, vmlinuz, initrd")
    parser.add_argument("--stage", help="read-only disk with the project's build output")
    parser.add_argument("--accel", choices=["kvm", "tcg"], required=True)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--append", default="", help="more words for the kernel's command line")
    parser.add_argument("--lifetime", type=int, default=0, help="seconds after which the VM ends, 0: never")
    return parser.parse_args()


def main():
    args = parse_arguments()
    args.image = os.path.abspath(args.image)
    args.stage = args.stage and os.path.abspath(args.stage)
    os.chdir(args.state)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(Node(args).run())


if __name__ == "__main__":
    main()
