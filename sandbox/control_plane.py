"""Makes and closes every long-lived part of the sandbox.

This is the one module that chooses implementations: the engine, the database, the clock. It hands
every other module what that needs.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from sandbox.clock import SystemClock
from sandbox.engine.base import RuntimeAccess
from sandbox.engine.init_links import InitLinks
from sandbox.engine.registry import choose_engine
from sandbox.events.dead_letters import DeadLetters
from sandbox.events.queue import EventQueue
from sandbox.events.tracing import Traces
from sandbox.feed import Feed, Recorder
from sandbox.feed.facts import NodeDown, NodeUp
from sandbox.functions.catalog import Catalog, CatalogTables
from sandbox.functions.layers import Layer
from sandbox.functions.namespaces import Namespace
from sandbox.instance.ports import InstanceContext
from sandbox.invoker import Invoker
from sandbox.packages.explainer import StartExplainer
from sandbox.packages.package import PackageStore
from sandbox.pool.memory_budget import MemoryBudget
from sandbox.pool.pool import Pool
from sandbox.records.history import History
from sandbox.scheduler import Scheduler
from sandbox.store.collections import SqlCollectionRepository
from sandbox.store.database import migrate, open_database
from sandbox.store.dead_letters import SqlLetterRepository
from sandbox.store.events import SqlEventRepository
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.records import SqlRecordRepository
from sandbox.store.retention import Retention
from sandbox.store.tables import layers, namespaces
from sandbox.store.writer import RecordWriter

if TYPE_CHECKING:
    import socket
    from types import TracebackType
    from typing import Self

    from sandbox.clock import Clock
    from sandbox.engine.base import Engine
    from sandbox.functions.service import FunctionService
    from sandbox.settings import Settings
    from sandbox.store.database import Database

log = structlog.get_logger()

#: The share of the engine's memory that instances may use without SCF_MEMORY_BUDGET_MB.
DEFAULT_MEMORY_SHARE = 0.75

#: The result in the record of an invocation that was running when the control plane ended. Queued
#: events are run again, which replaces their records.
INTERRUPTED = "the sandbox was stopped while this was running"


class RuntimePort(Protocol):
    """The runtime API, as the control plane opens and closes it."""

    async def listen(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        """Listen on one more address, or on its ``listener``. ``OSError`` if it cannot be bound."""
        ...

    async def close(self) -> None:
        """Stop listening."""
        ...


class ControlPlane:
    """Owns every long-lived part of one sandbox: store, engine, pool, functions, events, records.

    An async context manager: its parts exist within the block. ``open`` starts them. Leaving the
    block closes them in the reverse order of their making. Each one is closed even if another fails
    to close. The server and the tests start from here.
    """

    engine: Engine
    packages: PackageStore
    writer: RecordWriter
    recorder: Recorder
    budget: MemoryBudget
    pool: Pool
    scheduler: Scheduler
    catalog: Catalog
    functions: FunctionService
    history: History
    queue: EventQueue
    traces: Traces
    dead_letters: DeadLetters
    invoker: Invoker

    def __init__(
        self, settings: Settings, *, engine: Engine | None = None, clock: Clock | None = None
    ) -> None:
        """``engine`` and ``clock`` replace the chosen ones. Tests pass fakes."""
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        #: The inits that are expected to dial in, for the engine and the runtime API.
        self.init_links = InitLinks()
        #: True from the end of ``open`` until the block is left.
        self.ready = False
        #: Publishes what happens. Its listeners end when the block is left, or earlier.
        self.feed = Feed(self.clock)
        self._given_engine = engine
        self._parts = AsyncExitStack()
        self._runtime: RuntimePort | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as parts:
            self._make(parts)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.ready:
            self.ready = False
            reason = "the sandbox is stopping"
            for node in self.engine.capacity():
                self.feed.publish(NodeDown(self.clock.now(), node, reason))
        await self._parts.__aexit__(kind, error, trace)
        log.info("sandbox_stopped")

    async def open(self, runtime: RuntimePort) -> None:
        """Recover what an earlier run wrote, remove what it left, start.

        Leaving the block closes ``runtime`` after the engine, because instances may call it until
        then. Errors are ``SandboxError``.
        """
        await asyncio.to_thread(self.writer.recover)
        await asyncio.to_thread(self._records.end_interrupted, self.clock.now(), INTERRUPTED)
        self._runtime = runtime
        await self.engine.open(RuntimeAccess(runtime.listen, self.init_links))
        self.budget.total_mb = self.settings.memory_budget_mb or int(
            sum(self.engine.capacity().values()) * DEFAULT_MEMORY_SHARE
        )
        self.budget.beside_mb = self.engine.info.beside_mb
        await self.catalog.open()
        await self.queue.open(self.invoker)
        self._retention.open()
        self.ready = True
        info = self.engine.info
        if not info.abi_parity:
            self._explainer.runs_in(info.base)
        for node, memory_mb in self.engine.capacity().items():
            self.feed.publish(NodeUp(self.clock.now(), node, info.name, memory_mb))
        log.info("sandbox_started", engine=info.name, base=info.base, port=self.settings.port)
        if not info.os_parity:
            log.warning(
                "centos_parity",
                abi="yes" if info.abi_parity else "no",
                tools="yes" if info.tools_parity else "no",
                note=info.note,
                coming=info.coming,
            )

    async def wind_down(self, grace_s: float) -> None:
        """Let what runs come to its end, for so many seconds. End the rest, and all that comes
        later, with 499. Asynchronous events among them are run again by the next process."""
        await self.queue.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.pool.unoccupied()
        self.pool.cancel_all()

    def _make(self, parts: AsyncExitStack) -> None:
        """Make every part. A part that is made earlier is closed later."""
        settings, loop = self.settings, asyncio.get_running_loop()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        parts.callback(self.feed.close)
        database = self._open_database(parts)
        self._records = SqlRecordRepository(database)
        self.writer = RecordWriter(self._records, settings.data_dir / "journal")
        parts.push_async_callback(asyncio.to_thread, self.writer.close)
        self.recorder = Recorder(self.writer, self.feed)
        self.history = History(self._records, self.writer)
        parts.push_async_callback(self._close_runtime)
        self.packages = PackageStore(settings.data_dir / "packages")
        self.engine = self._given_engine or choose_engine(settings, self.packages)
        parts.push_async_callback(self.engine.close)
        self.budget = MemoryBudget(0)
        self._explainer = StartExplainer(self.packages)
        parts.push_async_callback(self._explainer.close)
        context = InstanceContext(
            loop=loop,
            clock=self.clock,
            recorder=self.recorder,
            init_timeout_status=settings.init_timeout_status,
            explainer=self._explainer,
        )
        self.pool = Pool(self.engine, settings, context, self.budget)
        parts.push_async_callback(self.pool.close)
        self._make_functions(database, parts)
        self._make_events(database, parts, loop)
        self._retention = Retention(self._records, self.clock, settings.log_retention_days)
        parts.push_async_callback(self._retention.close)

    def _open_database(self, parts: AsyncExitStack) -> Database:
        database = open_database(self.settings.resolved_database_url)
        parts.callback(database.dispose)
        migrate(database)
        return database

    def _make_functions(self, database: Database, parts: AsyncExitStack) -> None:
        tables = CatalogTables(
            SqlFunctionRepository(database),
            SqlCollectionRepository(database, layers, Layer),
            SqlCollectionRepository(database, namespaces, Namespace),
        )
        self.scheduler = Scheduler(self.clock)
        parts.push_async_callback(self.scheduler.close)
        self.catalog = Catalog(
            tables,
            self.packages,
            self.pool,
            self.clock,
            self.settings,
            self.scheduler,
            self.recorder,
        )
        self.functions = self.catalog.functions
        parts.push_async_callback(self.catalog.close)

    def _make_events(
        self, database: Database, parts: AsyncExitStack, loop: asyncio.AbstractEventLoop
    ) -> None:
        events = SqlEventRepository(database)
        self.queue = EventQueue(
            events, self.functions, self.clock, loop, self.settings, self.recorder
        )
        parts.push_async_callback(self.queue.close)
        self.pool.on_room = self.queue.wake
        self.traces = Traces(events, self.clock)
        self.dead_letters = DeadLetters(SqlLetterRepository(database))
        self.invoker = Invoker(
            self.functions,
            self.pool,
            self.clock,
            loop,
            self.recorder,
            quotas=self.catalog.quotas,
            queue=self.queue,
        )

    async def _close_runtime(self) -> None:
        if self._runtime is not None:
            await self._runtime.close()
