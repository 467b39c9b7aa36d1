"""The instance's init as a real process, with a control plane in the test at its other end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sandbox.instance.init_protocol import (
    SWITCHING,
    Discarded,
    Ended,
    Flushed,
    InitConnection,
    Message,
    NotStarted,
    Output,
    Started,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEADLINE_S = 20.0
#: How long an init may take to end after its connection has.
END_S = 5.0
SECRET = "5ec2e7" * 8
NAME = "0123456789abcdef" * 2 + ".scf"
#: The init as PID 1 of a process namespace of its own, as in a container.
OWN_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
PYTHON = f"#!{sys.executable} -IS\n"

T = TypeVar("T")


class Peer:
    """The control plane's end of one init's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection = InitConnection()
        self.head = ""
        self.messages: list[Message] = []
        self.output = bytearray()
        #: The output between two borders.
        self.segments: list[bytes] = []
        self.discarded = 0
        self.hung_up = False
        self.reading = asyncio.Event()
        self.reading.set()
        self._reader = reader
        self._writer = writer
        self._news = asyncio.Condition()
        self._begin = 0

    async def upgrade(self, answer: bytes) -> None:
        self.head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        self._writer.write(answer)

    async def read(self) -> None:
        """Until the end of the connection."""
        with suppress(ConnectionError):
            while data := await self._reader.read(65536):
                await self.reading.wait()
                for message in self.connection.receive(data):
                    self._take(message)
                async with self._news:
                    self._news.notify_all()
        self.hung_up = True
        async with self._news:
            self._news.notify_all()

    def _take(self, message: Message) -> None:
        match message:
            case Output(data):
                self.output += data
            case Discarded(size):
                self.discarded += size
            case Flushed() | Ended():
                self.segments.append(bytes(self.output[self._begin :]))
                self._begin = len(self.output)
                self.messages.append(message)
            case _:
                self.messages.append(message)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def close(self) -> None:
        self.reading.set()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait until the condition holds. The messages are in the error where it never does."""
        try:
            async with asyncio.timeout(deadline_s), self._news:
                await self._news.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"{self.messages} {bytes(self.output[-200:])!r}") from None

    def find(self, kind: type[T]) -> T | None:
        return next((message for message in self.messages if isinstance(message, kind)), None)

    async def get(self, kind: type[T], deadline_s: float = DEADLINE_S) -> T:
        """The first message of that kind; waits for it."""
        await self.until(lambda: self.find(kind) is not None, deadline_s)
        found = self.find(kind)
        assert found is not None
        return found

    async def flush(self, deadline_s: float = DEADLINE_S) -> Flushed:
        """Ask for a border and wait until it is passed."""
        self.send(self.connection.flush())
        number = self.connection.asked
        await self.until(lambda: self.connection.answered >= number, deadline_s)
        last = [message for message in self.messages if isinstance(message, Flushed)][-1]
        assert last.number >= number
        return last

    async def said(self, text: bytes, deadline_s: float = DEADLINE_S) -> None:
        await self.until(lambda: text in self.output, deadline_s)


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
        below = children(self.process.pid)
        return below[0] if process_name(self.process.pid) == "unshare" else self.process.pid

    async def logged(self, text: bytes, deadline_s: float = DEADLINE_S) -> None:
        """Wait until `docker logs` would show it."""
        async with asyncio.timeout(deadline_s):
            while text not in self.log:  # noqa: ASYNC110 - bytes come from a task
                await asyncio.sleep(0.005)

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
        """Wait until the function waits in a write, because nobody takes its output."""
        async with asyncio.timeout(DEADLINE_S):
            while not any(_writes(pid) for pid in self.below(instance.pid)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def childless(self, instance: Instance) -> None:
        """Wait until init has reaped everything."""
        async with asyncio.timeout(DEADLINE_S):
            while children(instance.pid):  # noqa: ASYNC110 - other processes' doing
                await asyncio.sleep(0.005)

    @staticmethod
    def cpu_s(pid: int) -> float:
        """CPU time of a process so far."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def switches(pid: int) -> int:
        """How often a process has gone to sleep so far."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("voluntary")).split()[1])

    @staticmethod
    def rss_kb(pid: int) -> int:
        """Resident memory of a process."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])

    async def arrived(self) -> Peer:
        """The next connection."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._arrived.get()

    @staticmethod
    def signal(pid: int, number: signal.Signals) -> None:
        """From outside of the instance."""
        os.kill(pid, number)

    @staticmethod
    def below(pid: int) -> list[int]:
        """All descendants of a process that live."""
        found = children(pid)
        for child in found:
            found += children(child)
        return [child for child in found if alive(child)]

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
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        ends: list[Peer | Partner] = [*self._peers, *self._partners]
        for end in ends:
            await end.close()


def process_name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    """Direct ones; those of the main thread."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _writes(pid: int) -> bool:
    """It waits in a write to a pipe."""
    with suppress(OSError):
        return "pipe_w" in Path(f"/proc/{pid}/wchan").read_text()
    return False


async def gone(*pids: int, deadline_s: float = DEADLINE_S) -> None:
    """Wait until none of these processes lives."""
    async with asyncio.timeout(deadline_s):
        while any(alive(pid) for pid in pids):  # noqa: ASYNC110 - not our children
            await asyncio.sleep(0.005)


class Burners:
    """Keeps every core busy while it is entered."""

    async def __aenter__(self) -> None:
        shell = shutil.which("sh") or "/bin/sh"
        self._processes = [
            await asyncio.create_subprocess_exec(shell, "-c", "while :; do :; done")
            for _ in range(os.cpu_count() or 1)
        ]

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            await process.wait()


class Partner:
    """Whom the function talks to, as it would to the runtime API: by bytes on a local socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._there = asyncio.Event()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._server: asyncio.Server

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._there.set()

    async def connected(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self._there.wait()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def line(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.readline()

    async def heard(self, count: int) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self._reader.readexactly(count)

    async def close(self) -> None:
        self._server.close()
        if self._there.is_set():
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
