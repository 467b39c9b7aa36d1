"""What the tests of the cloud API share: the API on real services, and ways to call it."""

from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import httpx
import uvicorn
from starlette.applications import Starlette

from api.app import Application
from api.cloud.wire.routes import cloud_route
from sandbox.invocation import Outcome
from tests.contract.listed_codes import require_listed
from tests.support.clock import FakeClock
from tests.support.control_plane import echo_engine, running_plane
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from api.cloud.endpoint import CloudApi
    from sandbox.control_plane import ControlPlane
    from sandbox.functions.catalog import Catalog
    from sandbox.functions.service import FunctionService
    from sandbox.invocation import InvokeOptions
    from tests.support.engine import FakeEngine


class ScriptedInvoker:
    """Looks the function up as the real invoker does, then answers what the test has set."""

    def __init__(self, functions: FunctionService) -> None:
        self._functions = functions
        self.calls: list[tuple[str, bytes, InvokeOptions]] = []
        self.versions: list[str] = []
        self.queued: list[tuple[str, bytes, InvokeOptions]] = []
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    async def invoke(self, name: str, event: bytes, options: InvokeOptions) -> Outcome:
        _, version = self._functions.resolve(
            options.namespace, name, options.qualifier, options.routing_key
        )
        self.versions.append(version.version)
        if self.error is not None:
            raise self.error
        self.calls.append((name, event, options))
        body = b"Echoing request: '" + event + b"'"
        outcome = self.outcome or Outcome(options.request_id, 200, body, 101.25, 102, 7_417_856)
        outcome.request_id = options.request_id
        if options.tail:
            outcome.log = f"START RequestId: {options.request_id}\n"
        return outcome

    def start(
        self, name: str, event: bytes, options: InvokeOptions, answer: Callable[[Outcome], None]
    ) -> bool:
        return False  # so it is invoked in the ordinary way

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions) -> None:
        self._functions.resolve(options.namespace, name, options.qualifier)
        self.queued.append((name, event, options))


@dataclass
class LocalCloud:
    """The API on a control plane, and a client in the same process. Invocations are scripted."""

    app: ASGIApp
    plane: ControlPlane
    engine: FakeEngine
    clock: FakeClock
    invoker: ScriptedInvoker
    api: CloudApi
    client: httpx.AsyncClient
    answers: list[dict[str, Any]] = field(default_factory=list)
    #: The versions whose instances were ended by force.
    killed: list[str] = field(default_factory=list)

    @property
    def functions(self) -> FunctionService:
        return self.plane.functions

    @property
    def catalog(self) -> Catalog:
        return self.plane.catalog

    def watch_kills(self) -> None:
        kill = self.plane.pool.kill

        async def watched(namespace: str, name: str, version: str) -> None:
            self.killed.append(version)
            await kill(namespace, name, version)

        self.plane.pool.kill = watched  # type: ignore[method-assign]

    async def call(self, action: str, **params: Any) -> dict[str, Any]:
        """An unsigned JSON request; returns what is in ``Response``."""
        response = await self.client.post("/", json=params, headers={"X-TC-Action": action})
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        answer: dict[str, Any] = response.json()["Response"]
        assert answer["RequestId"]
        self.answers.append(answer)
        return answer

    async def code_of(self, action: str, **params: Any) -> str:
        """The error code that a request is answered with; fails if it is answered well."""
        answer = await self.call(action, **params)
        assert set(answer) == {"Error", "RequestId"}, answer
        assert answer["Error"]["Message"]
        code: str = answer["Error"]["Code"]
        require_listed(action, code)
        return code

    async def create(self, name: str = "echo", **params: Any) -> dict[str, Any]:
        """A function that is Active."""
        given = {"Runtime": "CustomRuntime", "Code": {"ZipFile": zip_text()}, **params}
        answer = await self.call("CreateFunction", FunctionName=name, **given)
        assert "Error" not in answer, answer
        await self.functions.settled(params.get("Namespace", "default"), name, 10)
        return answer


@asynccontextmanager
async def running_cloud(directory: Path, **settings: Any) -> AsyncIterator[LocalCloud]:
    """The cloud API of a control plane under ``directory``, on an engine in memory."""
    engine, clock = echo_engine(memory_mb=2**20), FakeClock(running=True)
    settings.setdefault("log_retention_days", 36_500)  # the records that tests keep are old
    async with running_plane(directory, engine, clock, **settings) as plane:
        invoker = ScriptedInvoker(plane.functions)
        plane.invoker = cast("Any", invoker)
        application = Application(plane)
        api = application.cloud
        app = Starlette(routes=[cloud_route(api), application.downloads.route()])
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://scf.test") as client:
            cloud = LocalCloud(app, plane, engine, clock, invoker, api, client)
            cloud.watch_kills()
            yield cloud


@asynccontextmanager
async def served(app: ASGIApp, http: str = "httptools") -> AsyncIterator[str]:
    """``app`` behind a real uvicorn on a loopback port; gives ``host:port``."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=http, lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await server.shutdown()


def response_of(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(body)["Response"]
    return answer


def fields_of(model: type[Any]) -> set[str]:
    """The names of all fields of a model of the official SDK."""
    return {name.removeprefix("_") for name in vars(model())}
