"""The instance's init as a real process, with a control plane in the test at its other end."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.engine.init_protocol import Ended, NotStarted, Started
from tests.init.peers import DEADLINE_S, Partner, Peer
from tests.init.processes import below, children, nothing_in, process_name, sleeps, switches, writes
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

#: How long an init may take to end after its connection has.
END_S = 5.0
SECRET = "5ec2e7" * 8
NAME = "0123456789abcdef" * 2 + ".scf"
#: The init as PID 1 of a process namespace of its own, as in a container.
OWN_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
#: The runtime API's answer to a right secret.
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: scf-init/1\r\n\r\n"
)
PYTHON = f"#!{sys.executable} -IS\n"


@dataclass
class Instance:
    """One init: its process, its connection, and what it wrote for `docker logs`."""

    process: asyncio.subprocess.Process
    peer: Peer
    log: bytearray = field(default_factory=bytearray)
    log_reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def go(self) -> Started:
        self.peer.send(self.peer.connection.go())
        return await self.peer.get(Started)

    async def fail(self) -> tuple[NotStarted, Ended]:
        self.peer.send(self.peer.connection.go())
        return await self.peer.get(NotStarted), await self.ended()

    async def ended(self, deadline_s: float = DEADLINE_S) -> Ended:
        """Wait for the bootstrap's end, and answer it as a control plane does."""
        end = await self.peer.get(Ended, deadline_s)
        self.peer.send(self.peer.connection.quit())
        return end

    async def code(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code of init, as its container would have it."""
        async with asyncio.timeout(deadline_s):
            return await self.process.wait()

    @property
    def pid(self) -> int:
        """Of init itself: below `unshare` where it has a namespace of its own."""
        pid = self.process.pid
        return children(pid)[0] if process_name(pid) == "unshare" else pid

    async def logged(self, text: bytes, deadline_s: float = DEADLINE_S) -> None:
        """Wait until `docker logs` would show it."""
        await eventually(lambda: text in self.log, deadline_s)

    async def read_log(self) -> None:
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(65536):
            self.log += data
            await self.log_reading.wait()


class Stage:
    """Starts inits, and ends what is left of them. ``binary`` is the compiled init."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.binary = binary
        self.directory = directory
        self.answer = SWITCHING
        self.tasks: set[asyncio.Task[None]] = set()
        self._processes: list[asyncio.subprocess.Process] = []
        self._peers: list[Peer] = []
        self._partners: list[Partner] = []
        self._arrived: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: asyncio.Server
        self._local: asyncio.Server | None = None
        self.address = "127.0.0.1"
        self.port = 0

    async def open(self) -> None:
        listener = socket.create_server((self.address, 0))
        # Small, so that a control plane that does not read is soon felt.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._server = await asyncio.start_server(self._accept, sock=listener)
        self.port = listener.getsockname()[1]

    async def listen(self, path: str) -> None:
        """On a local socket as well."""
        self._local = await asyncio.start_unix_server(self._accept, path)

    async def partner(self, name: str) -> Partner:
        """Someone for the function to talk to, at a socket in its directory."""
        partner = Partner(str(self.directory / name))
        await partner.open()
        self._partners.append(partner)
        return partner

    async def blocked(self, instance: Instance) -> None:
        """Wait until the function waits in a write, and init does not read what it wrote."""
        await eventually(lambda: _blocked(instance.pid), DEADLINE_S)

    async def childless(self, instance: Instance) -> None:
        """Wait until init has reaped everything."""
        await eventually(lambda: not children(instance.pid), DEADLINE_S)

    async def arrived(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._arrived.get()

    def spawn(self, work: Awaitable[None]) -> None:
        self.tasks.add(asyncio.ensure_future(work))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._peers.append(peer)
        await peer.upgrade(self.answer)
        self._arrived.put_nowait(peer)
        await peer.read()

    def write(self, bootstrap: str | bytes, mode: int = 0o755) -> None:
        """The function's code: a Python program, or bytes as they are."""
        path = self.directory / "bootstrap"
        path.unlink(missing_ok=True)
        path.write_bytes(
            bootstrap if isinstance(bootstrap, bytes) else (PYTHON + bootstrap).encode()
        )
        path.chmod(mode)

    async def process(
        self,
        *arguments: str,
        before: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> asyncio.subprocess.Process:
        """An init that may never connect."""
        process = await asyncio.create_subprocess_exec(
            *before,
            str(self.binary),
            *arguments,
            cwd=self.directory,
            env={
                "SCF_INIT_ADDRESS": f"127.0.0.1:{self.port}",
                "SCF_INIT_SECRET": SECRET,
                "SCF_RUNTIME_API": NAME,
                "PATH": os.environ["PATH"],
                **(environment or {}),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    async def start(
        self,
        bootstrap: str | bytes | None = None,
        *arguments: str,
        before: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        log: bool = True,
    ) -> Instance:
        """An init that stands by. ``log``: its copy of the output is read from the beginning."""
        if bootstrap is not None:
            self.write(bootstrap)
        process = await self.process(*arguments, before=before, environment=environment)
        return self.instance(process, await self.arrived(), log)

    async def start_on_socket(self, bootstrap: str | bytes, *arguments: str) -> Instance:
        """An init as the process engine has it: no PID 1, frames on an inherited socket."""
        self.write(bootstrap)
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            process = await self.process("--fd", str(number), *arguments, pass_fds=(number,))
        return await self.on_socket(process, ours)

    async def on_socket(self, process: asyncio.subprocess.Process, ours: socket.socket) -> Instance:
        """An init that has the other end of a socket."""
        reader, writer = await asyncio.open_connection(sock=ours)
        peer = Peer(reader, writer)
        self._peers.append(peer)
        self.spawn(peer.read())
        return self.instance(process, peer)

    def instance(
        self, process: asyncio.subprocess.Process, peer: Peer, log: bool = True
    ) -> Instance:
        instance = Instance(process, peer)
        if log:
            instance.log_reading.set()
        self.spawn(instance.read_log())
        return instance

    async def close(self) -> None:
        self._server.close()
        if self._local is not None:
            self._local.close()
        # Not killed first: an init that is no PID 1 has to take along what is below it.
        for peer in self._peers:
            peer.abort()
        for process in self._processes:
            try:
                await asyncio.wait_for(process.wait(), END_S)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        await nothing_in(self.directory)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        ends: list[Peer | Partner] = [*self._peers, *self._partners]
        for end in ends:
            await end.close()


def _blocked(pid: int) -> bool:
    before = switches(pid)
    waits = sleeps(pid) and any(writes(child) for child in below(pid)) and sleeps(pid)
    return waits and switches(pid) == before
