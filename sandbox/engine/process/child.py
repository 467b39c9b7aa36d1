"""One instance of the process engine: a child process that is its init, and its end."""

from __future__ import annotations

import asyncio
import platform
import socket
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.gauge import receive_gauge
from sandbox.engine.init_link import InitLink
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from sandbox.engine.base import Sink

log = structlog.get_logger()

#: How long a process may take until its bootstrap can be released, seconds.
START_TIMEOUT_S = 30.0
#: How long an init has to end everything before the process itself is killed, seconds.
END_GRACE_S = 5.0
#: Kept of what comes of a process that could not be started.
SAID_BYTES = 4096


class ChildProcess(InitLink):
    """A ``Container`` (see ``engine.base``): an init at one end of a socket pair.

    ``address`` is the instance's own on loopback; ``tidy`` is awaited once, when all is over. Init
    must not be killed: what it ended would be left. It ends when it is told to, and when the
    control plane is gone.
    """

    def __init__(
        self,
        address: str,
        sink: Sink,
        heard: Callable[[], None],
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(sink, heard)
        self.container_id = ""
        self.runtime_host = address
        #: What the runtime API knows it by: all processes of a machine call from 127.0.0.1.
        self.peer = address
        self.node = platform.node()
        self._tidy = tidy
        self._process: asyncio.subprocess.Process | None = None
        self._destroying: asyncio.Task[None] | None = None

    async def start(
        self,
        command: Callable[[int, int], Sequence[str]],
        directory: Path,
        environment: dict[str, str],
        pass_fds: Sequence[int],
    ) -> None:
        """Until the bootstrap can be released. ``command`` is given init's end of the pair, and a
        socket for its gauge."""
        box, post = socket.socketpair(type=socket.SOCK_DGRAM)
        with box:
            with post:
                process = await self._spawn(command, directory, environment, pass_fds, post)
            await self._stand_by(process)
            received = receive_gauge(box)
        if received is not None and received[1] is not None:
            self.measure(received[1])

    async def _spawn(
        self,
        command: Callable[[int, int], Sequence[str]],
        directory: Path,
        environment: dict[str, str],
        pass_fds: Sequence[int],
        post: socket.socket,
    ) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command(theirs.fileno(), post.fileno()),
                    cwd=directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs.fileno(), post.fileno(), *pass_fds),
                    start_new_session=True,
                )
            except BaseException as error:
                ours.close()
                if isinstance(error, OSError):
                    raise _not_started(str(error)) from error
                raise
        self._process = process
        self.container_id = f"process-{process.pid}"
        ours.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self, sock=ours)
        return process

    async def _stand_by(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self.stands_by
        except TimeoutError:
            raise _not_started(f"it took more than {START_TIMEOUT_S:g} s") from None
        except EngineError as error:
            assert process.stdout is not None
            said = (await process.stdout.read(SAID_BYTES)).decode("utf-8", "replace").strip()
            raise _not_started(said or f"it ended with exit code {await process.wait()}") from error

    async def destroy(self) -> bool:
        if self._destroying is None:
            self._destroying = asyncio.ensure_future(self._destroy())
        await asyncio.shield(self._destroying)
        return True

    async def _destroy(self) -> None:
        self.quit()
        if self._process is not None:
            await self._end_of(self._process)
        self.hang_up()
        await self._tidy()

    async def _end_of(self, process: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), END_GRACE_S)
        except TimeoutError:
            log.warning("init_killed", container=self.container_id)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _not_started(why: str) -> EngineError:
    return EngineError(f"the process of an instance could not be started: {why}")
