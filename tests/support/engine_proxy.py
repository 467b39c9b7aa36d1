"""A socket between the control plane and its container engine, for the engine's bad days."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum
from typing import TYPE_CHECKING

from docker.constants import DEFAULT_UNIX_SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINE = DEFAULT_UNIX_SOCKET.removeprefix("http+unix://")
#: How late an answer of a slow engine comes, seconds.
SLOW_S = 0.5


class Mode(Enum):
    """How the engine is: as it is, or away in one of four ways."""

    WELL = "well"
    #: A connection is closed as soon as it is made.
    REFUSING = "refusing"
    #: Connections are taken, and nothing is answered.
    HANGING = "hanging"
    #: A call reaches the engine, and its answer is lost.
    RESETTING = "resetting"
    #: Every answer comes late.
    SLOW = "slow"


class EngineProxy:
    """``address`` is for ``DOCKER_HOST``. ``mode`` may be changed at any time; connections that are
    open then are cut. It runs in a thread of its own, for callers that block."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "engine.sock"
        self.address = f"unix://{self._path}"
        self._mode = Mode.WELL
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        asyncio.run_coroutine_threadsafe(self._change(mode), self._loop).result()

    @contextlib.contextmanager
    def running(self) -> Iterator[EngineProxy]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        start = asyncio.start_unix_server(self._accept, self._path)
        server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(server.close)
            self.mode = Mode.REFUSING
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._mode is Mode.HANGING:
                await asyncio.Event().wait()
            if self._mode is Mode.REFUSING:
                return
            there, back = await asyncio.open_unix_connection(ENGINE)
            with contextlib.closing(back):
                await asyncio.gather(_copy(reader, back), self._answer(there, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(65536):
            if self._mode is Mode.RESETTING:
                raise ConnectionResetError
            if self._mode is Mode.SLOW:
                await asyncio.sleep(SLOW_S)
            writer.write(data)
            await writer.drain()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
