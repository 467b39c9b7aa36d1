"""An engine that lives in memory, and the heart of the sandbox running on it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from sandbox.clock import new_request_id
from sandbox.engine.base import EngineInfo, Exit
from sandbox.errors import EngineError
from sandbox.feed import Feed, Recorder
from sandbox.functions.model import LATEST, Function, FunctionConfig, FunctionVersion
from sandbox.instance.ports import InstanceContext
from sandbox.invocation import Invocation, Outcome
from sandbox.packages.model import Bootstrap, CodeRef
from sandbox.pool.memory_budget import MemoryBudget
from sandbox.pool.pool import Pool
from sandbox.settings import Settings

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from sandbox.engine.base import InstanceSpec, Listen, Sink
    from sandbox.errors import SandboxError
    from sandbox.instance.instance import Instance
    from sandbox.instance.rendezvous import Event, Push
    from sandbox.packages.package import Package
    from sandbox.records.record import InvocationRecord, LogChunk

EPOCH = 1_700_000_000.0


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until ``condition`` holds, by real time; fail when it does not in ``within_s``."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.001)


async def turns(count: int = 10) -> None:
    """Let everything run that is ready to."""
    for _ in range(count):
        await asyncio.sleep(0)


class Time:
    """The running loop's time, which can be moved on; a Clock by the same time."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ahead = 0.0
        self._set = 0.0
        self._real = loop.time
        self._start = loop.time()
        cast("Any", loop).time = self.monotonic

    def monotonic(self) -> float:
        return self._real() + self._ahead

    def now(self) -> float:
        return EPOCH + self.monotonic() - self._start + self._set

    def set(self, seconds: float) -> None:
        """Set the wall clock forward or, below 0, back. No timer of the loop notices."""
        self._set += seconds

    async def advance(self, seconds: float) -> None:
        """Move on at once; every timer that falls due runs."""
        self._ahead += seconds
        await turns()


class StillClock:
    """A Clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.at = EPOCH

    def now(self) -> float:
        return self.at

    monotonic = now

    def tick(self, seconds: float) -> None:
        self.at += seconds


class FakeContainer:
    """A container without a process. ``end`` is its process's death; ``peak`` is in bytes."""

    def __init__(self, engine: FakeEngine, spec: InstanceSpec, sink: Sink, number: int) -> None:
        self.container_id = f"fake-{number}"
        self.runtime_host = f"{spec.instance_id}.scf"
        self.address = f"127.9.{number // 250}.{number % 250 + 1}"
        self.peer = None if engine.hides_peers else self.address
        self.node = "fake node"
        self.port = 0
        self.spec = spec
        self.released = False
        self.alive = True
        self.peak = 7 * 2**20
        self.kills = 0
        self.signals: list[signal.Signals] = []
        self.server: asyncio.AbstractServer | None = None
        self._engine = engine
        self._sink = sink

    @property
    def instance(self) -> Instance:
        return cast("Instance", self._sink)

    def release(self) -> None:
        self.released = True
        if self._engine.on_release is not None:
            asyncio.get_running_loop().call_soon(self._engine.on_release, self)

    def memory_peak(self) -> int:
        return self.peak

    def oom_kills(self) -> int:
        return self.kills

    async def send_signal(self, number: signal.Signals) -> None:
        if not self.alive:
            raise EngineError("there is no bootstrap left to be signalled")
        self.signals.append(number)

    def write(self, text: str) -> None:
        """The process writes to its output."""
        self._sink.output(text.encode())

    def end(self, exit: Exit = Exit(0)) -> None:  # noqa: B008 - frozen
        """The process is gone; only the first time counts."""
        if self.alive:
            self.alive = False
            self._sink.ended(exit)

    async def destroy(self) -> None:
        await self._engine.destroy_gate.wait()
        if self.server is not None:
            self.server.close()
        self.end(Exit(137))
        if self._engine.destroy_error is not None:
            raise self._engine.destroy_error


class FakeEngine:
    """Starts containers at once, or when ``gate`` is set, or not at all.

    ``failures`` are raised by the next launches, one each. ``on_launch`` is called with what is
    being launched before the pool is given it; ``on_release`` with what was released. With
    ``hides_peers`` nobody can tell an instance by its address. ``memory_mb`` is by node.
    """

    def __init__(self) -> None:
        self.info = EngineInfo("fake", "1", "no image", "no base", os_parity=False)
        self.memory_mb = {"fake node": 4096}
        self.hides_peers = False
        self.containers: list[FakeContainer] = []
        self.prepared: list[tuple[str, tuple[str, ...]]] = []
        self.expected: list[str] = []
        self.taken: list[str] = []
        self.forgotten: list[str] = []
        self.failures: list[SandboxError] = []
        self.destroy_error: Exception | None = None
        self.on_launch: Callable[[FakeContainer], None] | None = None
        self.on_release: Callable[[FakeContainer], None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.destroy_gate = asyncio.Event()
        self.destroy_gate.set()
        self.launches = 0
        self._listen: Listen | None = None

    @property
    def alive(self) -> list[FakeContainer]:
        return [container for container in self.containers if container.alive]

    async def open(self, listen: Listen) -> None:
        self._listen = listen

    def capacity(self) -> dict[str, int]:
        return self.memory_mb

    def expect(self, code_digest: str) -> None:
        self.expected.append(code_digest)

    def take(self, package: Package) -> None:
        self.taken.append(package.ref.digest)

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        self.prepared.append((code_digest, layers))

    async def forget(self, code_digest: str) -> None:
        self.forgotten.append(code_digest)

    async def launch(self, spec: InstanceSpec, sink: Sink) -> FakeContainer:
        number = self.launches
        self.launches += 1
        await self.gate.wait()
        container = FakeContainer(self, spec, sink, number)
        if self.on_launch is not None:
            self.on_launch(container)
        if self.failures:
            raise self.failures.pop(0)
        if self._listen is not None:
            container.server = await self._listen(container.address)
            container.port = cast("Any", container.server).sockets[0].getsockname()[1]
        self.containers.append(container)
        return container

    async def close(self) -> None:
        for container in self.containers:
            await container.destroy()


class Runtime:
    """A bootstrap that calls its instance directly instead of through HTTP."""

    def __init__(self, container: FakeContainer) -> None:
        self.container = container
        self.instance = container.instance
        self.events: list[Event] = []

    def ready(self) -> Runtime:
        self.instance.ready()
        return self

    def poll(self) -> Runtime:
        self.instance.poll(self.events.append)
        return self

    def answer(self, body: bytes = b"done") -> Push:
        return self.instance.push(body)

    def echo(self) -> None:
        """Push each event back as its own result, one after the other, for ever."""
        loop = asyncio.get_running_loop()

        def take(event: Event) -> None:
            loop.call_soon(finish, event)

        def finish(event: Event) -> None:
            self.instance.push(event.body)
            self.instance.poll(take)

        self.instance.ready()
        self.instance.poll(take)


def echoing(container: FakeContainer) -> None:
    """For ``FakeEngine.on_release``: every instance is an echo."""
    Runtime(container).echo()


def function(
    name: str = "hello",
    *,
    digest: str = "c0de",
    bootstrap: Bootstrap = Bootstrap.OK,
    epoch: int = 0,
    **config: Any,
) -> Function:
    """An active function with one version; ``config`` as in FunctionConfig."""
    code = CodeRef(digest=digest, zip_bytes=1, unpacked_bytes=1, bootstrap=bootstrap)
    version = FunctionVersion(
        config=FunctionConfig(**config), code=code, created_at=EPOCH, modified_at=EPOCH
    )
    return Function(
        name=name,
        function_id=f"lam-{name}",
        epoch=epoch,
        created_at=EPOCH,
        versions={LATEST: version},
    )


class Kept:
    """Where a recorder writes to: lists. ``running`` are the records of what had not ended."""

    def __init__(self) -> None:
        self.records: list[InvocationRecord] = []
        self.running: list[InvocationRecord] = []
        self.chunks: list[LogChunk] = []

    def put(self, record: InvocationRecord) -> None:
        (self.running if record.status_code == 202 else self.records).append(record)

    def put_log(self, chunk: LogChunk) -> None:
        self.chunks.append(chunk)


class Heart:
    """A pool on a fake engine, in a time of its own. ``kept`` is what its recorder wrote down."""

    def __init__(
        self, budget_mb: int = 4096, *, engine: FakeEngine | None = None, **settings: Any
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.time = Time()
        self.engine = engine or FakeEngine()
        self.kept = Kept()
        self.feed = Feed(self.time)
        self.recorder = Recorder(self.kept, self.feed)
        self.settings = Settings(**{"standby": 0, **settings})
        self.budget = MemoryBudget(budget_mb)
        self.pool = Pool(
            self.engine,
            self.settings,
            InstanceContext(self.loop, self.time, self.recorder),
            self.budget,
        )

    def invocation(self, of: Function, event: bytes = b"{}", **more: Any) -> Invocation:
        invocation = Invocation(of, of.latest, event, new_request_id(), self.loop, **more)
        invocation.times["received"] = self.time.now()
        return invocation

    def submit(self, of: Function, event: bytes = b"{}", **more: Any) -> Invocation:
        invocation = self.invocation(of, event, **more)
        self.pool.submit(invocation)
        return invocation

    async def run(self, of: Function, event: bytes = b"{}") -> Outcome:
        """Submit an event and wait for its outcome."""
        return await asyncio.wait_for(self.submit(of, event).future, 5)

    async def container(self, number: int) -> FakeContainer:
        """The container started as number ``number``, once it waits to be released."""
        await eventually(lambda: len(self.engine.containers) > number)
        await turns()
        return self.engine.containers[number]

    async def runtime(self, number: int) -> Runtime:
        """The bootstrap in that container, once it has been released."""
        container = await self.container(number)
        await eventually(lambda: container.released)
        return Runtime(container)

    def logged(self, request_id: str) -> list[str]:
        """The lines given to a request."""
        return [
            text
            for chunk in self.kept.chunks
            if chunk.request_id == request_id
            for _, text in chunk.lines
        ]

    async def close(self) -> None:
        """Stop, and see to it that nothing is left."""
        await self.pool.close()
        await turns()
        assert self.engine.alive == []
        assert self.pool.instances() == []
        assert self.pool.by_host == {}
        assert self.pool.by_peer == {}
        assert self.budget.reserved_mb == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        timers = cast("Any", self.loop)._scheduled
        assert [timer for timer in timers if not timer.cancelled()] == []
