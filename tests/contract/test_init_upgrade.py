"""How an init gets through the runtime API's door: by its name and its secret, once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from api.runtime.server import RuntimeServer
from api.runtime.upgrade import init_upgrades
from sandbox.engine.init_link import InitLink
from sandbox.engine.init_links import InitLinks
from tests.engine.engine_kit import Directory, Watcher
from tests.support.product import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAME = "0123456789abcdef.scf"


class Door:
    """A runtime API, and the inits that it expects."""

    def __init__(self, port: int) -> None:
        self.links = InitLinks()
        self.server = RuntimeServer(Directory(), port, upgrades=init_upgrades(self.links))
        self.port = port
        self.writers: list[asyncio.StreamWriter] = []

    async def dial(
        self, secret: str, path: str = "/runtime/instance", offer: str = "scf-init/1"
    ) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """The head of the answer, and the connection behind it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(
            f"GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: {offer}\r\nHost: {NAME}\r\n"
            f"Scf-Init-Secret: {secret}\r\n\r\n".encode()
        )
        return await reader.readuntil(b"\r\n\r\n"), reader, writer


@asynccontextmanager
async def door() -> AsyncIterator[Door]:
    opened = Door(free_port())
    await opened.server.listen("127.0.0.1")
    yield opened
    for writer in opened.writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    await opened.server.close()


@pytest.mark.parametrize("path", ["/runtime/instance", "/runtime/place"])
async def test_a_right_secret_opens_the_link_once(path: str) -> None:
    async with door() as opened:
        sink = Watcher()
        link = InitLink(sink, opened.links.heard)
        secret = opened.links.expect(NAME, link)
        head, reader, writer = await opened.dial(secret, path)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: scf-init/1\r\n" in head
        assert await reader.readexactly(8) == b"F\0\0\4\0\0\0\1"
        writer.write(b"N\0\0\x10" + (1).to_bytes(4) + bytes(12))
        await link.stands_by
        head, *_ = await opened.dial(secret, path)
        assert head.startswith(b"HTTP/1.1 403 ")
        link.hang_up()
        assert len(sink.exits) == 1


async def test_nothing_else_opens_it() -> None:
    async with door() as opened:
        link = InitLink(Watcher(), opened.links.heard)
        secret = opened.links.expect(NAME, link)
        for wrong in ("", "x", secret[:-1]):
            head, *_ = await opened.dial(wrong)
            assert head.startswith(b"HTTP/1.1 403 ")
        head, *_ = await opened.dial(secret, offer="websocket")
        assert head.startswith(b"HTTP/1.1 403 ")
        head, *_ = await opened.dial(secret)
        assert head.startswith(b"HTTP/1.1 101 ")
        link.hang_up()
