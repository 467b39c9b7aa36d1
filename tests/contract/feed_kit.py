"""The control plane with its HTTP side on a real uvicorn, on an engine in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from api.app import Application
from api.serving import Server
from sandbox.functions.model import FunctionConfig
from tests.support.control_plane import running_plane
from tests.support.engine import FakeEngine
from tests.support.waiting import eventually
from tests.support.zips import package

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.control_plane import ControlPlane

WAIT_S = 10.0


class Stream:
    """A streamed answer, read line by line."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self) -> str:
        """The next line; fails when none comes."""
        return await asyncio.wait_for(anext(self._lines), WAIT_S)

    async def past(self, line: str) -> None:
        """Read up to this line, and the line too."""
        lines = [await self.line()]
        while lines[-1] != line:
            lines.append(await self.line())

    async def rest(self) -> list[str]:
        """All lines until it ends."""
        return await asyncio.wait_for(self._collect(), WAIT_S)

    async def event(self) -> dict[str, Any]:
        """The next server-sent event: its ``event``, ``data`` and ``id``. Others are passed by."""
        event: dict[str, Any] = {}
        while True:
            line = await self.line()
            name, _, value = line.partition(": ")
            if not line and "event" in event:
                return event
            if not line:
                event = {}
            elif name:
                event[name] = json.loads(value) if name == "data" else value

    async def _collect(self) -> list[str]:
        return [line async for line in self._lines]


@dataclass
class Served:
    """A sandbox that listens, and what it runs on."""

    plane: ControlPlane
    engine: FakeEngine
    server: Server
    client: httpx.AsyncClient

    async def create(self, name: str = "hello", **config: Any) -> None:
        await self.plane.functions.create("default", name, package(), FunctionConfig(**config))
        await self.plane.functions.settled("default", name, WAIT_S)

    async def invoke(self, name: str = "hello") -> str:
        """The request id of an invocation that has ended."""
        answer = await self.client.post(f"/functions/{name}/invocations", content=b"{}")
        request_id: str = answer.headers["X-Scf-Request-Id"]
        return request_id

    @contextlib.asynccontextmanager
    async def stream(self, path: str, last: str | None = None) -> AsyncIterator[Stream]:
        headers = {"Last-Event-ID": last} if last is not None else {}
        async with self.client.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200
            yield Stream(response)


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    engine = FakeEngine()
    async with running_plane(directory, engine) as plane:
        application = Application(plane)
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            application.asgi,
            http=application.protocol,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=5,
        )
        server = Server(config, plane)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await eventually(lambda: server.started)
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx.AsyncClient(base_url=address, timeout=WAIT_S) as client:
                yield Served(plane, engine, server, client)
        finally:
            server.should_exit = True
            await serving
