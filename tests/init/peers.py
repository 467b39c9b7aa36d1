"""The ends that a test holds: the control plane's of init's connection, the function's partner."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from sandbox.engine.init_protocol import (
    Discarded,
    Ended,
    Flushed,
    InitConnection,
    Message,
    Output,
)
from tests.support.waiting import eventually

DEADLINE_S = 20.0

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
        self.hung_up = True

    def _take(self, message: Message) -> None:
        match message:
            case Output(data):
                self.output += data
            case Discarded(size):
                self.discarded += size
            case Flushed() | Ended():
                self.segments.append(self.present)
                self._begin = len(self.output)
                self.messages.append(message)
            case _:
                self.messages.append(message)

    @property
    def present(self) -> bytes:
        """The output since the last border."""
        return bytes(self.output[self._begin :])

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def close(self) -> None:
        self.reading.set()
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        self._writer.transport.abort()

    def received(self) -> tuple[list[Message], bytes]:
        """The messages, and the end of the output."""
        return self.messages, bytes(self.output[-200:])

    def find(self, kind: type[T]) -> T | None:
        return next((message for message in self.messages if isinstance(message, kind)), None)

    async def get(self, kind: type[T], deadline_s: float = DEADLINE_S) -> T:
        """The first message of that kind; waits for it."""
        await eventually(lambda: self.find(kind) is not None, deadline_s, self.received)
        found = self.find(kind)
        assert found is not None
        return found

    async def flush(self, deadline_s: float = DEADLINE_S) -> Flushed:
        """Ask for a border and wait until it is passed."""
        self.send(self.connection.flush())
        number = self.connection.asked
        await eventually(lambda: self.connection.answered >= number, deadline_s, self.received)
        last = [message for message in self.messages if isinstance(message, Flushed)][-1]
        assert last.number >= number
        return last

    async def said(self, text: bytes, deadline_s: float = DEADLINE_S) -> None:
        await eventually(lambda: text in self.output, deadline_s, self.received)


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
