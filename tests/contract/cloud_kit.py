"""What the tests of the cloud API share: the API on real services, and ways to call it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import zipfile
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from starlette.applications import Starlette

from api.cloud.endpoint import CloudApi
from api.cloud.wire.policy import Policy
from api.cloud.wire.routes import cloud_route
from api.downloads import Downloads
from sandbox.clock import SystemClock
from sandbox.events.queue import EventQueue
from sandbox.events.tracing import Traces
from sandbox.feed import Feed, Recorder
from sandbox.functions.catalog import Catalog, CatalogTables
from sandbox.functions.layers import Layer
from sandbox.functions.namespaces import Namespace
from sandbox.invocation import Outcome
from sandbox.packages.package import PackageStore
from sandbox.records.history import History
from sandbox.scheduler import Scheduler
from sandbox.settings import Settings
from sandbox.store.collections import CollectionStore
from sandbox.store.database import migrate, open_database
from sandbox.store.events import EventRepository
from sandbox.store.functions import FunctionRepository
from sandbox.store.records import RecordRepository
from sandbox.store.tables import layers, namespaces
from sandbox.store.writer import RecordWriter
from tests.contract.listed_codes import require_listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp

    from sandbox.errors import SandboxError
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.quotas import Demand
    from sandbox.functions.service import FunctionService
    from sandbox.invocation import InvokeOptions
    from sandbox.packages.package import Package


def zip_of(files: Mapping[str, str | bytes] | None = None) -> bytes:
    """A package; a bare bootstrap unless other files are given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in (files or {"bootstrap": "#!/bin/bash\nexit 0\n"}).items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text)
    return buffer.getvalue()


def zip_text(files: Mapping[str, str | bytes] | None = None) -> str:
    return base64.b64encode(zip_of(files)).decode()


class ShiftedClock(SystemClock):
    """The real time, and as many seconds more as a test likes."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


class ReadyHost:
    """An engine for which every package is ready at once, or never with an ``error``.

    It remembers which versions it made ready, with the packages of their layers, and killed. A
    ``gate`` holds preparations back.
    """

    def __init__(self) -> None:
        self.error: SandboxError | None = None
        self.gate: asyncio.Event | None = None
        self.prepared: list[tuple[str, str, tuple[str, ...]]] = []
        #: How many instances of each version are initialised; every one that is asked for if None.
        self.ready: int | None = None
        self.failure = ""
        self.asked: dict[tuple[str, str, str], int] = {}
        self.killed: list[str] = []

    async def prepare(self, function: Function, version: FunctionVersion) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.prepared.append((function.name, version.version, version.config.layer_digests))

    async def retire(self, namespace: str, name: str, keep: frozenset[str]) -> None: ...

    def expect_code(self, digest: str) -> None: ...

    def take_code(self, package: Package) -> None: ...

    async def forget_code(self, digest: str) -> None: ...

    def provision(self, function: Function) -> None:
        for number in function.versions:
            self.asked[*function.key, number] = function.provisioned.get(number, 0)

    capacity_mb = 0

    def demands(self, namespace: str) -> list[Demand]:
        return []

    def provisioned(self, namespace: str, name: str, version: str) -> tuple[int, str]:
        asked = self.asked[namespace, name, version]
        return (asked if self.ready is None else self.ready, self.failure)

    async def kill(self, namespace: str, name: str, version: str) -> None:
        self.killed.append(version)


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
class Cloud:
    """The API with the services behind it, and a client in the same process."""

    app: ASGIApp
    catalog: Catalog
    host: ReadyHost
    clock: ShiftedClock
    invoker: ScriptedInvoker
    records: RecordRepository
    api: CloudApi
    client: httpx.AsyncClient
    answers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def functions(self) -> FunctionService:
        return self.catalog.functions

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
async def running_cloud(directory: Path, **settings: Any) -> AsyncIterator[Cloud]:
    """The cloud API on a database and packages under ``directory``."""
    database = open_database(f"sqlite:///{directory / 'scf.db'}")
    migrate(database)
    records = RecordRepository(database)
    writer = RecordWriter(records, directory / "journal")
    packages = PackageStore(directory / "packages")
    clock = ShiftedClock()
    configuration = Settings(**settings)
    tables = CatalogTables(
        FunctionRepository(database),
        CollectionStore(database, layers, Layer),
        CollectionStore(database, namespaces, Namespace),
    )
    host = ReadyHost()
    scheduler = Scheduler(clock)
    catalog = Catalog(tables, packages, host, clock, configuration, scheduler)
    await catalog.open()
    functions = catalog.functions
    invoker = ScriptedInvoker(functions)
    downloads = Downloads(packages, clock)
    events = EventRepository(database)
    loop = asyncio.get_running_loop()
    recorder = Recorder(writer, Feed(clock))
    queue = EventQueue(events, functions, clock, loop, configuration, recorder)
    api = CloudApi(
        catalog=catalog,
        packages=packages,
        invoker=invoker,
        history=History(records, writer),
        queue=queue,
        traces=Traces(events, clock),
        downloads=downloads,
        policy=Policy(configuration, clock),
        clock=clock,
        region=configuration.region,
    )
    app = Starlette(routes=[cloud_route(api), downloads.route()])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://scf.test") as client:
        yield Cloud(app, catalog, host, clock, invoker, records, api, client)
    await queue.close()
    await catalog.close()
    await scheduler.close()
    writer.close()
    database.dispose()


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
