"""One instance of the process engine: a child process, its pipes, its memory, its end."""

from __future__ import annotations

import asyncio
import platform
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog

from sandbox.engine.base import Exit, Sink
from sandbox.engine.process import proctree
from sandbox.engine.process.isolation import WAITING
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.engine.process.isolation import Isolation

log = structlog.get_logger()

KILLED = 128 + signal.SIGKILL
#: A sample as young as this still stands when the peak is asked for, seconds.
FRESH_S = 0.01
#: How long a process may take until its bootstrap can be released, seconds.
START_TIMEOUT_S = 30.0
#: After the end of a process: how long its output may stay open, seconds.
OUTPUT_GRACE_S = 1.0
#: How long a supervisor has to end everything before it is killed itself, seconds.
END_GRACE_S = 5.0


class ChildProcess(asyncio.SubprocessProtocol):
    """A ``Container`` (see ``engine.base``): the supervisor of one instance.

    ``address`` is the instance's own on loopback; ``tidy`` is awaited once, when all is over.
    """

    def __init__(
        self,
        address: str,
        memory_limit: int,
        isolation: Isolation,
        sink: Sink,
        tidy: Callable[[ChildProcess], Awaitable[None]],
    ) -> None:
        self.container_id = ""
        self.runtime_host = address
        #: What the runtime API knows it by: all processes of a machine call from 127.0.0.1.
        self.peer = address
        self.node = platform.node()
        self.released = False
        self._memory_limit = memory_limit
        self._isolation = isolation
        self._sink = sink
        self._tidy = tidy
        self._loop = asyncio.get_running_loop()
        self._memory_peak = 0
        self._sampled = 0.0
        self._oom_killed = False
        self._pid = 0
        self._transport: asyncio.SubprocessTransport
        self._preface = b""
        #: Its result is what went wrong; empty when the bootstrap can be released.
        self._started: asyncio.Future[str] = self._loop.create_future()
        self._gone = asyncio.Event()
        self._grace: asyncio.TimerHandle | None = None
        self._destroying: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ the instance's side

    def release(self) -> None:
        self.released = True
        self.sample()
        stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        stdin.write(b"\n")

    def memory_peak(self) -> int:
        if self._loop.time() - self._sampled >= FRESH_S:
            self.sample()
        return self._memory_peak

    def oom_kills(self) -> int:
        return int(self._oom_killed)

    async def send_signal(self, number: signal.Signals) -> None:
        found = None if self._gone.is_set() else self._isolation.bootstrap(self._pid)
        if found is None:
            raise EngineError("there is no bootstrap left to be signalled")
        proctree.send_signal(*found, number)

    async def destroy(self) -> None:
        if self._destroying is None:
            self._destroying = asyncio.ensure_future(self._destroy())
        await asyncio.shield(self._destroying)

    # ------------------------------------------------------------------ the engine's side

    async def started(self) -> None:
        """Until the bootstrap can be released. ``EngineError`` when it never can."""
        try:
            failure = await asyncio.wait_for(asyncio.shield(self._started), START_TIMEOUT_S)
        except TimeoutError:
            failure = f"it took more than {START_TIMEOUT_S:g} s"
        if failure:
            raise EngineError(f"the process of an instance could not be started: {failure}")

    def sample(self) -> None:
        """Look at its memory now; over the limit it is killed, as the kernel would."""
        if self._gone.is_set() or self._oom_killed:
            return
        self._sampled = self._loop.time()
        used = proctree.memory(proctree.descendants(self._pid))
        # A container's use never shows above its limit either: it is killed there.
        self._memory_peak = max(self._memory_peak, min(used, self._memory_limit))
        if used > self._memory_limit:
            self._oom_killed = True
            self._end(signal.SIGTERM)

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._pid = self._transport.get_pid()
        self.container_id = f"process-{self._pid}"

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if self._started.done():
            self._sink.output(data)
            return
        self._preface += data
        if self._preface.endswith(WAITING):
            self._started.set_result("")

    def process_exited(self) -> None:
        self._grace = self._loop.call_later(OUTPUT_GRACE_S, self._ended)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()

    # ------------------------------------------------------------------ inside

    def _ended(self) -> None:
        """The process has ended and its output has been read."""
        if self._gone.is_set():
            return
        self._gone.set()
        if self._grace is not None:
            self._grace.cancel()
        code = self._transport.get_returncode()
        self._transport.close()
        if not self._started.done():
            said = self._preface.decode("utf-8", "replace").strip()
            self._started.set_result(said or f"it ended with exit code {code}")
        elif self._oom_killed:
            self._sink.ended(Exit(KILLED, oom_killed=True))
        else:
            self._sink.ended(Exit(128 - code if code is not None and code < 0 else code))

    def _end(self, number: signal.Signals) -> None:
        """Signal the supervisor, which at SIGTERM kills everything below it and ends."""
        if self._transport.get_returncode() is None:
            with suppress(ProcessLookupError):
                self._transport.send_signal(number)

    async def _destroy(self) -> None:
        self._end(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._gone.wait(), END_GRACE_S)
        except TimeoutError:
            log.warning("supervisor_killed", container=self.container_id)
            self._end(signal.SIGKILL)
            await self._gone.wait()
        await self._tidy(self)
