"""The queue of events on a real database, in front of the heart on a fake engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sandbox.clock import new_request_id
from sandbox.events.dead_letters import DeadLetters
from sandbox.events.queue import EventQueue
from sandbox.events.tracing import Traces
from sandbox.feed import Recorder
from sandbox.functions.model import DeadLetterQueue
from sandbox.invocation import InvokeOptions
from sandbox.invoker import Invoker
from sandbox.store.database import migrate, open_database
from sandbox.store.dead_letters import SqlLetterRepository
from sandbox.store.events import SqlEventRepository
from tests.support.engine import FakeContainer, Runtime
from tests.support.functions import FakeFunctions, function
from tests.support.pool import Heart
from tests.support.records import Kept
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandbox.events.model import Change, DeadLetter, QueuedEvent
    from sandbox.functions.model import Function
    from sandbox.instance.rendezvous import Event
    from sandbox.records.record import InvocationRecord

QUEUE: dict[str, Any] = {"dead_letter": DeadLetterQueue(type="cmq-queue", name="dead")}
TRACED: dict[str, Any] = {"async_run": True, "traced": True}


class WatchedRepository(SqlEventRepository):
    """Counts transactions; fails each with ``error`` while it is set."""

    error: Exception | None = None
    batches: list[int]

    def apply(self, changes: Sequence[Change]) -> None:
        if self.error is not None:
            raise self.error
        self.__dict__.setdefault("batches", []).append(len(changes))
        super().apply(changes)


class Everything(Kept):
    """Running records are among the others, in the order in which they came."""

    def put(self, record: InvocationRecord) -> None:
        self.records.append(record)


class QueueBench:
    """A queue, and what its functions were given: ``tries`` are (event, retry number).

    Each event is answered by ``answer``: bytes are a result, a text an error, None is no answer.
    """

    def __init__(self, directory: Path, budget_mb: int = 4096, **settings: Any) -> None:
        self.heart = Heart(budget_mb, **settings)
        self.database = open_database(f"sqlite:///{directory / 'scf.db'}")
        migrate(self.database)
        self.repository = WatchedRepository(self.database)
        self.functions = FakeFunctions()
        self.kept = Everything()
        self.records = self.kept.records
        self.recorder = Recorder(self.kept, self.heart.feed)
        self.tries: list[tuple[bytes, int]] = []
        self.answer: Callable[[Event], bytes | str | None] = lambda event: event.body
        self.heart.engine.on_release = self._bootstrap
        self.queue: EventQueue
        self.invoker: Invoker
        self.letters = DeadLetters(SqlLetterRepository(self.database))
        self.traces = Traces(self.repository, self.heart.time)

    async def open(self) -> QueueBench:
        loop = self.heart.loop
        self.queue = EventQueue(
            self.repository,
            self.functions,
            self.heart.time,
            loop,
            self.heart.settings,
            self.recorder,
        )
        self.heart.pool.on_room = self.queue.wake
        self.invoker = Invoker(
            self.functions,
            self.heart.pool,
            self.heart.time,
            loop,
            self.recorder,
            queue=self.queue,
        )
        await self.queue.open(self.invoker)
        return self

    async def restart(self) -> None:
        """The queue is closed and another one opened on what is on disk."""
        await self.queue.close()
        await self.open()

    async def close(self) -> None:
        await self.queue.close()
        self.heart.engine.gate.set()
        await self.heart.pool.close()
        await turns()
        self.database.dispose()

    def _bootstrap(self, container: FakeContainer) -> None:
        runtime = Runtime(container)
        loop = asyncio.get_running_loop()

        def take(event: Event) -> None:
            invocation = runtime.instance.invocation
            assert invocation is not None
            self.tries.append((event.body, invocation.retry_num))
            loop.call_soon(finish, event)

        def finish(event: Event) -> None:
            result = self.answer(event)
            if result is None or not container.alive:
                return
            if isinstance(result, str):
                runtime.instance.push(result.encode(), error=True)
            else:
                runtime.instance.push(result)
            runtime.instance.poll(take)

        runtime.instance.ready()
        runtime.instance.poll(take)

    # ---- what tests do

    def function(self, name: str = "hello", **more: Any) -> Function:
        policy = {key: more.pop(key) for key in ("retry_num", "msg_ttl_s") if key in more}
        return self.functions.put(function(name, **more), **policy)

    async def send(self, event: bytes = b"{}", name: str = "hello", **options: Any) -> str:
        """Invoke a function asynchronously; the request id."""
        request_id = new_request_id()
        given = {"invocation_type": "Event", **options}
        await self.invoker.invoke_async(name, event, InvokeOptions(request_id, **given))
        return request_id

    def on_disk(self) -> list[QueuedEvent]:
        return self.repository.load()

    async def tried(self, count: int) -> None:
        """Wait until there have been so many tries, and they have been dealt with on disk."""
        await eventually(lambda: len(self.tries) >= count)
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing runs: all that is left waits to be due."""
        await eventually(lambda: all(e.phase == "waiting" for e in self.queue._events.values()))
        await turns()

    async def over(self) -> None:
        """Wait until the queue is empty."""
        await eventually(lambda: self.queue.depth == 0)

    async def later(self, seconds: float) -> None:
        """Time goes by, and what is due is done."""
        await self.heart.time.advance(seconds)
        await self.settled()

    async def state(self, request_id: str) -> tuple[str, int]:
        """The traced state of an event, and its status code."""
        found = await self.traces.get(request_id)
        assert found is not None
        return found.status, found.status_code

    async def dead(self, dropped: bool | None = None) -> list[DeadLetter]:
        return (await self.letters.find(dropped=dropped, limit=1000))[1]
