"""One instance's container: its attach connection, its memory gauge, its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.base import Exit
from sandbox.engine.docker.attach import AttachProtocol
from sandbox.engine.docker.cgroup import MemoryGauge
from sandbox.engine.docker.removal import remove_container
from sandbox.engine.docker.stats import EngineStats
from sandbox.errors import EngineError

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sandbox.engine.base import Sink
    from sandbox.engine.docker.client import DockerClient
    from sandbox.tasks import TaskOwner

log = structlog.get_logger()

#: Waits for its release on standard input, then runs the bootstrap. ``2>&1`` keeps stdout and
#: stderr in the order in which they were written, as the cloud's logs are. The shell outlives the
#: bootstrap to report its end on the container's own stderr, which nothing else uses: the engine
#: itself would take 90 ms to notice, and the memory peak would be gone with the control group.
ENTRY = (
    "sh",
    "-c",
    "read -r _ && ./bootstrap </dev/null 2>&1; echo bootstrap ended: $? >&2; read -r _",
)
ENDED = re.compile(rb"bootstrap ended: ([0-9]{1,3})\n\Z")
#: Kept of what else comes there: a function can write to it too, through /proc/1/fd/2.
REPORT_BYTES = 64

#: Signals the bootstrap from inside: the child of the shell that is the init process's first child.
SIGNAL = """
read -r shell _ </proc/1/task/1/children
read -r bootstrap _ </proc/$shell/task/$shell/children
kill -s "$1" "$bootstrap"
"""

KILLED = 128 + signal.SIGKILL

#: What the bootstrap wrote last may come after the report of its end, on another stream: the end
#: counts when the output was quiet this long, or at the latest after the second figure (a child may
#: write on, and an invocation ends within 100 ms). Seconds.
LAST_WORDS_S = 0.01
LAST_WORDS_MAX_S = 0.07
#: How long the attach stream of a removed container may take to end, seconds.
DETACH_S = 2.0


class DockerContainer:
    """A ``Container`` (see ``engine.base``), from its creation to its removal.

    ``left`` is awaited once the container is removed: its network end is free then. ``tasks`` are
    the engine's, and end with it.
    """

    def __init__(
        self,
        client: DockerClient,
        container_id: str,
        runtime_host: str,
        peer: str,
        node: str,
        *,
        sink: Sink,
        tasks: TaskOwner,
        cgroup_root: Path,
        left: Callable[[], Awaitable[None]],
    ) -> None:
        self.container_id = container_id
        self.runtime_host = runtime_host
        self.peer = peer
        self.node = node
        self._client = client
        self._sink = sink
        self._tasks = tasks
        self._left = left
        self._gauge = MemoryGauge(cgroup_root, container_id)
        self._stats = EngineStats(client, container_id, tasks)
        self._transport: asyncio.WriteTransport | None = None
        self._destroying: asyncio.Task[None] | None = None
        self._reports = b""
        self._ended = False
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0

    async def connect(self, sock: socket.socket) -> None:
        """Take over the attach connection."""
        protocol = AttachProtocol(self._output, self._report, self._detached)
        transport, _ = await self._loop.create_connection(lambda: protocol, sock=sock)
        self._transport = transport

    def release(self) -> None:
        assert self._transport is not None
        self._transport.write(b"\n")
        self.memory_peak()

    def memory_peak(self) -> int:
        return self._gauge.peak() or self._stats.peak()

    def oom_kills(self) -> int:
        return self._gauge.oom_kills()

    async def send_signal(self, number: signal.Signals) -> None:
        # The engine itself could signal only the init process, which hands it to the shell.
        command = ("sh", "-c", SIGNAL, "sh", str(int(number)))
        if await self._client.execute(self.container_id, command) != 0:
            raise EngineError("there is no bootstrap left to be signalled")

    async def destroy(self) -> None:
        if self._destroying is None:
            self._destroying = asyncio.ensure_future(self._destroy())
        await asyncio.shield(self._destroying)

    async def _destroy(self) -> None:
        try:
            await remove_container(self._client, self.container_id)
        finally:
            if self._transport is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._gone.wait(), DETACH_S)
                self._transport.close()
            self._gauge.close()
            await self._left()

    def _report(self, data: bytes) -> None:
        """The shell around the bootstrap speaks."""
        self._reports = (self._reports + data)[-REPORT_BYTES:]
        found = ENDED.search(self._reports)
        if found and not self._ended:
            self._ended = True
            code, peak = int(found[1]), self._gauge.peak()
            if code == KILLED and not peak:
                self._tasks.start(self._report_kill())
            else:
                exit = Exit(code, oom_killed=self._gauge.oom_kills() > 0)
                self._last_words(exit, self._loop.time() + LAST_WORDS_MAX_S)

    def _output(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._sink.output(data)

    def _last_words(self, exit: Exit, deadline: float) -> None:
        """Pass on the end once the output is quiet."""
        self._loop.call_later(LAST_WORDS_S, self._quiet, exit, deadline, self._heard_at)

    def _quiet(self, exit: Exit, deadline: float, heard_at: float) -> None:
        if self._heard_at == heard_at or self._loop.time() >= deadline or self._gone.is_set():
            self._sink.ended(exit)
        else:
            self._last_words(exit, deadline)

    def _detached(self) -> None:
        """The attach stream has ended: the container is gone, or the engine is."""
        self._gone.set()
        if self._ended:
            return
        self._ended = True
        if self._destroying is not None:
            self._sink.ended(Exit(KILLED))
        else:
            self._tasks.start(self._report_exit())

    async def _report_exit(self) -> None:
        """The engine has to tell. The sink hears of the end in any case: an event waits for it."""
        exit = Exit(None, reason="and the engine was closed before it could tell how")
        try:
            exit = await self._exit()
        finally:
            self._sink.ended(exit)

    async def _report_kill(self) -> None:
        """Only the engine can tell whether it was for want of memory, once the shell ends too."""
        exit = Exit(KILLED)
        try:
            self.release()
            exit = Exit(KILLED, oom_killed=(await self._exit()).oom_killed)
        finally:
            self._sink.ended(exit)

    async def _exit(self) -> Exit:
        """How the container ended, as the engine tells it. Never fails."""
        try:
            end = await self._client.end_of(self.container_id)
        except EngineError as error:
            return Exit(None, reason=f"and the engine could not tell how ({error.message})")
        except Exception as error:  # a task's boundary: the end must be reported
            log.exception("exit_unknown", container=self.container_id[:12])
            return Exit(None, reason=f"and the engine's answer was not understood ({error!r})")
        return Exit(end.exit_code, oom_killed=end.oom_killed)
