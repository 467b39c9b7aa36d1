"""An engine that lives in memory: its containers, and bootstraps in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from sandbox.engine.base import EngineInfo, Exit
from sandbox.errors import EngineError

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from sandbox.engine.base import InstanceSpec, RuntimeAccess, Sink
    from sandbox.errors import SandboxError
    from sandbox.instance.instance import Instance
    from sandbox.instance.rendezvous import Event, Push
    from sandbox.packages.package import Package


class FakeContainer:
    """A container without a process. ``end`` is its process's death; ``peak`` is in bytes.

    A flush is answered at once. With ``holds_flushes`` it waits for ``answer``.
    """

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
        self.holds_flushes = False
        self.flushes: list[Callable[[], None]] = []
        #: Whether its memory is watched closely, each time that this was said.
        self.watched: list[bool] = []
        self._engine = engine
        self._sink = sink

    @property
    def instance(self) -> Instance:
        return cast("Instance", self._sink)

    def release(self) -> None:
        self.released = True
        if self._engine.on_release is not None:
            asyncio.get_running_loop().call_soon(self._engine.on_release, self)

    def flush(self, done: Callable[[], None]) -> None:
        self.flushes.append(done)
        if not self.holds_flushes:
            self.answer()

    def settled(self) -> bool:
        return False

    def answer(self) -> None:
        """The border of every flush is passed."""
        self.look()
        flushes, self.flushes = self.flushes, []
        for done in flushes:
            done()

    def look(self) -> None:
        """Its memory is looked at."""
        self._sink.memory(self.peak, self.kills)

    def watch(self, *, closely: bool) -> None:
        self.watched.append(closely)

    def send_signal(self, number: signal.Signals) -> None:
        if not self.alive:
            raise EngineError("there is no bootstrap left to be signalled")
        self.signals.append(number)

    def write(self, text: str) -> None:
        """Act as the process that writes output."""
        self._sink.output(text.encode())

    def end(self, exit: Exit = Exit(0)) -> None:  # noqa: B008 - frozen
        """Act as the process that ends. Only the first call counts."""
        if self.alive:
            self.alive = False
            if self.flushes:
                self.answer()
            self._sink.ended(exit)

    async def destroy(self) -> bool:
        await self._engine.destroy_gate.wait()
        if self._engine.away:
            return False
        if self.server is not None:
            self.server.close()
        self.end(Exit(137))
        if self._engine.destroy_error is not None:
            raise self._engine.destroy_error
        return True


class FakeEngine:
    """Starts containers at once, or when ``gate`` is set, or never.

    Each of the next launches raises one of ``failures``. Each preparation waits for
    ``prepare_gate`` and raises ``prepare_error``. ``on_launch`` is called with a container before
    the pool gets it, ``on_release`` with a released container. With ``hides_peers`` no address
    tells an instance. ``memory_mb`` is by node.
    """

    def __init__(self) -> None:
        self.info = EngineInfo("fake", "1", "no image", "no base", abi_parity=False)
        self.memory_mb = {"fake node": 4096}
        self.hides_peers = False
        self.containers: list[FakeContainer] = []
        self.prepared: list[tuple[str, tuple[str, ...]]] = []
        self.expected: list[str] = []
        self.taken: list[str] = []
        self.forgotten: list[str] = []
        self.failures: list[SandboxError] = []
        self.prepare_error: SandboxError | None = None
        self.destroy_error: Exception | None = None
        #: It ends containers and cannot say so.
        self.away = False
        self.on_launch: Callable[[FakeContainer], None] | None = None
        self.on_release: Callable[[FakeContainer], None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.prepare_gate = asyncio.Event()
        self.prepare_gate.set()
        self.destroy_gate = asyncio.Event()
        self.destroy_gate.set()
        self.launches = 0
        self._runtime: RuntimeAccess | None = None

    @property
    def alive(self) -> list[FakeContainer]:
        return [container for container in self.containers if container.alive]

    async def open(self, runtime: RuntimeAccess) -> None:
        self._runtime = runtime

    def capacity(self) -> dict[str, int]:
        return self.memory_mb

    def expect(self, code_digest: str) -> None:
        self.expected.append(code_digest)

    def take(self, package: Package) -> None:
        self.taken.append(package.ref.digest)

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        await self.prepare_gate.wait()
        if self.prepare_error is not None:
            raise self.prepare_error
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
        if self._runtime is not None:
            container.server = await self._runtime.listen(container.address)
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
        """Answer each event with itself, one after the other, for ever."""
        loop = asyncio.get_running_loop()

        def take(event: Event) -> None:
            loop.call_soon(finish, event)

        def finish(event: Event) -> None:
            self.instance.push(event.body)
            self.instance.poll(take)

        self.instance.ready()
        self.instance.poll(take)


def echoing(container: FakeContainer) -> None:
    """For ``FakeEngine.on_release``: every instance answers an event with itself."""
    Runtime(container).echo()
