"""Stand-ins for the services behind plain REST, and a client that talks to the app in process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from fastapi import FastAPI

from api.metrics.metrics import Gauges, Metrics
from api.rest import Health, Services, install_rest
from sandbox.engine.base import EngineInfo
from sandbox.errors import ConflictError
from sandbox.feed import Feed
from sandbox.functions.listing import ALL
from sandbox.functions.model import (
    LATEST,
    Function,
    FunctionConfig,
    FunctionStatus,
    FunctionVersion,
    StatusReason,
)
from sandbox.invocation import InvokeOptions, Outcome
from sandbox.packages.model import Bootstrap, CodeRef
from sandbox.settings import Settings
from tests.support.clock import EPOCH, FakeClock
from tests.support.functions import FakeFunctions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.functions.changes import ConfigChange
    from sandbox.functions.listing import Page, Query
    from sandbox.pool.snapshot import InstanceSnapshot
    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord
    from scf_sandbox.preflight import Finding


class FunctionsWithFate(FakeFunctions):
    """A function service in a dictionary. ``fate`` is what becomes of each change."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[bytes] = []
        self.fate: FunctionStatus = FunctionStatus.ACTIVE
        self.reasons: tuple[StatusReason, ...] = ()
        self.bootstrap = Bootstrap.OK
        self.guesses: tuple[Finding, ...] = ()
        self.raises: Exception | None = None

    async def create(
        self, namespace: str, name: str, data: bytes, config: FunctionConfig
    ) -> Function:
        if self.raises:
            raise self.raises
        if (namespace, name) in self.by_key:
            raise ConflictError(f"there is a {name} already", "ResourceInUse.FunctionName")
        version = FunctionVersion(
            config=config,
            code=self._code(data),
            status=FunctionStatus.CREATING,
            created_at=EPOCH,
            modified_at=EPOCH,
        )
        function = Function(
            namespace=namespace,
            name=name,
            function_id=f"lam-{name}",
            created_at=EPOCH,
            versions={LATEST: version},
        )
        self.by_key[function.key] = function
        return function

    def list(self, namespace: str = "default", query: Query = ALL) -> Page:
        return query.run(f for f in self.by_key.values() if f.namespace == namespace)

    async def update_code(self, namespace: str, name: str, data: bytes) -> Function:
        return self._change(namespace, name, code=self._code(data))

    async def update_config(self, namespace: str, name: str, change: ConfigChange) -> Function:
        config = change.apply(self.get(namespace, name).latest.config)
        return self._change(namespace, name, config=config)

    async def delete(self, namespace: str, name: str) -> None:
        self.get(namespace, name)
        del self.by_key[namespace, name]

    async def force_cold(self, namespace: str, name: str) -> Function:
        function = self.get(namespace, name)
        function = function.model_copy(update={"epoch": function.epoch + 1})
        self.by_key[function.key] = function
        return function

    async def settled(self, namespace: str, name: str, within_s: float = 60.0) -> Function:
        return self._change(namespace, name, status=self.fate, status_reasons=self.reasons)

    def _change(self, namespace: str, name: str, **changes: Any) -> Function:
        function = self.get(namespace, name)
        function = function.with_version(function.latest.model_copy(update=changes))
        self.by_key[function.key] = function
        return function

    def _code(self, code: bytes) -> CodeRef:
        self.codes.append(code)
        return CodeRef(
            digest="0" * 64,
            zip_bytes=len(code),
            unpacked_bytes=len(code),
            bootstrap=self.bootstrap,
            guesses=self.guesses,
        )


class FakeInvoker:
    """Answers every event with ``outcome``, and remembers what it was given."""

    def __init__(self) -> None:
        self.events: list[tuple[str, bytes, InvokeOptions]] = []
        self.outcome: dict[str, Any] = {"status_code": 200, "body": b'{"ok":true}'}
        self.raises: Exception | None = None

    async def invoke(self, name: str, event: bytes, options: InvokeOptions) -> Outcome:
        self.events.append((name, event, options))
        if self.raises:
            raise self.raises
        return Outcome(request_id=options.request_id, **self.outcome)

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions) -> None:
        self.events.append((name, event, options))
        if self.raises:
            raise self.raises


class FakeHistory:
    """Records in a list. ``on_find`` is called before each query."""

    def __init__(self) -> None:
        self.records: list[InvocationRecord] = []
        self.queries: list[dict[str, Any]] = []
        self.on_find: Callable[[], None] = lambda: None

    async def find(self, query: RecordQuery) -> tuple[int, list[InvocationRecord]]:
        self.on_find()
        self.queries.append(
            {"result": query.result, "start": query.start, "qualifier": query.qualifier}
        )
        wanted = (query.namespace, query.function_name)
        found = [
            record
            for record in self.records
            if (record.namespace, record.function_name) == wanted
            and query.request_id in (None, record.request_id)
            and (query.result is None or (record.status_code == 200) == (query.result == "is0"))
            and (query.start is None or record.started_at >= query.start)
        ]
        found.sort(key=lambda record: record.started_at, reverse=True)
        return len(found), found[query.offset : query.offset + query.limit]

    async def get(self, request_id: str) -> InvocationRecord | None:
        return next((r for r in self.records if r.request_id == request_id), None)

    async def logs(self, records: list[InvocationRecord]) -> list[str]:
        return [log_of(record.request_id) for record in records]

    async def lines(self, request_id: str) -> list[tuple[float, str]]:
        return [(EPOCH, f"hello from {request_id}")]

    async def lines_of(self, records: list[InvocationRecord]) -> dict[str, list[tuple[float, str]]]:
        return {record.request_id: await self.lines(record.request_id) for record in records}


class FakePool:
    def __init__(self) -> None:
        self.snapshots: list[InstanceSnapshot] = []

    def instances(self) -> list[InstanceSnapshot]:
        return self.snapshots


def log_of(request_id: str) -> str:
    """What stands for the log of any invocation."""
    return f"START RequestId:{request_id}\nhello\nEND RequestId:{request_id}\n"


@dataclass
class RestApp:
    """The app, its services, and a client."""

    functions: FunctionsWithFate = field(default_factory=FunctionsWithFate)
    invoker: FakeInvoker = field(default_factory=FakeInvoker)
    history: FakeHistory = field(default_factory=FakeHistory)
    pool: FakePool = field(default_factory=FakePool)
    health: Health = field(
        default_factory=lambda: Health(
            "ok",
            EngineInfo(
                name="docker",
                version="27.0",
                image="scf-sandbox/centos7",
                base="centos:7.6.1810",
                abi_parity=True,
                tools_parity=True,
                tmp="disk: 512 MB",
            ),
        )
    )

    def __post_init__(self) -> None:
        self.feed = Feed(FakeClock())
        self.metrics = Metrics(
            Gauges(
                instances=self.pool.instances,
                memory=lambda: (128 * 2**20, 1024 * 2**20),
                records=lambda: (3, 10, 0),
            ),
            self.feed,
        )
        self.services = Services(
            functions=self.functions,
            invoker=self.invoker,
            history=self.history,
            pool_view=self.pool,
            settings=Settings(),
            health=lambda: self.health,
            metrics=self.metrics,
            feed=self.feed,
            clock=FakeClock(),
        )
        self.app = FastAPI(title="scf-sandbox", version="1.0", docs_url=None, redoc_url=None)
        install_rest(self.app, self.services)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://sandbox")

    async def with_function(self, name: str = "hello", namespace: str = "default") -> Function:
        """Create one that is Active."""
        await self.functions.create(namespace, name, b"zip", FunctionConfig())
        return await self.functions.settled(namespace, name, 1)


def error_of(response: httpx.Response, status: int, code: str) -> str:
    """The message of an error answer, its shape checked."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == response.headers["x-scf-request-id"]
    return str(error["message"])
