"""Puts the parts of the sandbox together, and takes them apart again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from api.cloud.endpoint import CloudApi
from api.cloud.wire.policy import Policy
from api.downloads import Downloads
from api.metrics.metrics import Gauges, Metrics
from api.process.busypoll import BusyPoll, several_processors
from api.runtime.server import RuntimeServer
from sandbox.clock import SystemClock
from sandbox.engine.registry import choose_engine
from sandbox.events.dead_letters import DeadLetters
from sandbox.events.queue import EventQueue
from sandbox.events.tracing import Traces
from sandbox.functions.catalog import Catalog, CatalogTables
from sandbox.functions.layers import Layer
from sandbox.functions.namespaces import Namespace
from sandbox.instance.ports import InstanceContext
from sandbox.invoker import Invoker
from sandbox.limits import MIB
from sandbox.packages.package import PackageStore
from sandbox.pool.memory_budget import MemoryBudget
from sandbox.pool.pool import Pool
from sandbox.records.history import History
from sandbox.store.collections import CollectionStore
from sandbox.store.database import migrate, open_database
from sandbox.store.dead_letters import LetterRepository
from sandbox.store.events import EventRepository
from sandbox.store.functions import FunctionRepository
from sandbox.store.records import RecordRepository
from sandbox.store.retention import Retention
from sandbox.store.tables import layers, namespaces
from sandbox.store.writer import RecordWriter

if TYPE_CHECKING:
    from sandbox.invocation import Outcome
    from sandbox.records.record import InvocationRecord
    from sandbox.settings import Settings

log = structlog.get_logger()

#: The share of the machine's memory that instances may have, unless a setting says otherwise.
DEFAULT_MEMORY_SHARE = 0.75

#: What the record of an invocation says that was running when the control plane ended. Events of
#: the queue are run again, and their records replaced.
INTERRUPTED = "the sandbox was stopped while this was running"


class House:
    """Every long-lived object of one control plane. Made and closed inside a running loop."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.clock = SystemClock()
        self.loop = asyncio.get_running_loop()
        self.packages = PackageStore(settings.data_dir / "packages")
        self.engine = choose_engine(settings, self.packages)
        database = open_database(settings.resolved_database_url)
        migrate(database)
        self._records = records = RecordRepository(database)
        self.writer = RecordWriter(records, settings.data_dir / "journal")
        self.budget = MemoryBudget(0)
        context = InstanceContext(
            loop=self.loop,
            clock=self.clock,
            log_sink=self.writer.put_log,
            init_timeout_status=settings.init_timeout_status,
        )
        self.pool = Pool(self.engine, settings, context, self.budget)
        tables = CatalogTables(
            FunctionRepository(database),
            CollectionStore(database, layers, Layer),
            CollectionStore(database, namespaces, Namespace),
        )
        self.catalog = Catalog(tables, self.packages, self.pool, self.clock, settings)
        self.functions = self.catalog.functions
        self.downloads = Downloads(self.packages, self.clock)
        self.history = History(records, self.writer)
        self.metrics = Metrics(
            Gauges(
                instances=self.pool.instances,
                memory=lambda: (self.budget.reserved_mb * MIB, self.budget.total_mb * MIB),
                records=lambda: (self.writer.pending, self.writer.written, self.writer.dropped),
            )
        )
        events = EventRepository(database)
        self.queue = EventQueue(
            events, self.functions, self.clock, self.loop, settings, self.writer.put
        )
        self.pool.on_room = self.queue.wake
        self.dead_letters = DeadLetters(LetterRepository(database))
        self.invoker = Invoker(
            self.functions,
            self.pool,
            self.clock,
            self.loop,
            self._keep_record,
            quotas=self.catalog.quotas,
            queue=self.queue,
            on_running=self.writer.put,
        )
        self.policy = Policy(settings, self.clock)
        self.cloud = CloudApi(
            catalog=self.catalog,
            packages=self.packages,
            invoker=self.invoker,
            history=self.history,
            queue=self.queue,
            traces=Traces(events, self.clock),
            downloads=self.downloads,
            policy=self.policy,
            clock=self.clock,
            region=settings.region,
        )
        self.busy_poll = BusyPoll(settings.busy_poll_us / 1e6 if several_processors() else 0)
        self.runtime = RuntimeServer(self.pool, settings.runtime_port, self.busy_poll.keep_awake)
        self._retention = Retention(records, self.clock, settings.log_retention_days)
        self.ready = False

    def _keep_record(self, record: InvocationRecord, outcome: Outcome) -> None:
        """Called once per ended invocation, before its answer: what was answered is never lost."""
        self.writer.put(record)
        times = record.timeline
        waited = times.get("dispatched", times["received"]) - times["received"]
        self.metrics.observe(outcome, record.function_name, record.namespace, queue_wait_s=waited)

    async def open(self) -> None:
        """Recover what an earlier run wrote, sweep what it left, start."""
        await asyncio.to_thread(self.writer.recover)
        await asyncio.to_thread(self._records.end_interrupted, self.clock.now(), INTERRUPTED)
        await self.engine.open(self.runtime.listen)
        self.budget.total_mb = self.settings.memory_budget_mb or int(
            self.engine.memory_total_mb * DEFAULT_MEMORY_SHARE
        )
        await self.catalog.open()
        await self.queue.open(self.invoker)
        self._retention.open()
        self.policy.announce()
        self.ready = True
        info = self.engine.info
        log.info("sandbox_started", engine=info.name, base=info.base, port=self.settings.port)
        if info.note:
            log.warning("os_parity_missing", note=info.note)

    async def close(self) -> None:
        """End every instance, keep every record, leave nothing behind in the engine."""
        self.ready = False
        await self._retention.close()
        await self.queue.close()
        await self.catalog.close()
        await self.pool.close()
        await self.engine.close()
        await self.runtime.close()
        await asyncio.to_thread(self.writer.close)
        log.info("sandbox_stopped")
