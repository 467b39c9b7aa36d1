"""What the pool asks of an engine. Everything here is called on the event loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    import signal
    from collections.abc import Awaitable, Callable

    from sandbox.packages.package import Package

    #: Opens the runtime API on one address.
    Listen = Callable[[str], Awaitable[asyncio.AbstractServer]]


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """Everything an engine needs to start one instance.

    ``instance_id`` is 32 random hex digits: the instance's secret and its name. ``layers`` are
    package digests in bind order. ``environment`` lacks only the runtime API's address, which the
    engine adds.
    """

    instance_id: str
    namespace: str
    function_name: str
    version: str
    code_digest: str
    memory_mb: int
    environment: dict[str, str]
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance's process ended. ``code`` is None when the engine could not tell.

    A process killed by signal N has code 128 + N, as a shell and an init process report it.
    """

    code: int | None
    oom_killed: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.code is None:
            return self.reason or "for an unknown reason"
        if self.code > 128:
            return f"by signal {self.code - 128}"
        return f"with exit code {self.code}"


class Sink(Protocol):
    """The instance, as its container sees it."""

    def output(self, data: bytes) -> None:
        """Bytes the process wrote to stdout or stderr, in the order of writing."""
        ...

    def ended(self, exit: Exit) -> None:
        """The process is gone. Called once, also after ``destroy``."""
        ...


class Container(Protocol):
    """One started container (or process) in which a bootstrap waits to be released."""

    container_id: str
    #: The name under which the runtime API knows the instance: its ``Host``.
    runtime_host: str
    #: The address that tells its connections from others': where they come from, or, on loopback,
    #: where they go to.
    peer: str

    def release(self) -> None:
        """Let the bootstrap run."""
        ...

    def memory_peak(self) -> int:
        """Highest memory use so far, bytes; 0 when it cannot be told."""
        ...

    def oom_kills(self) -> int:
        """How many of its processes were killed for want of memory."""
        ...

    async def send_signal(self, number: signal.Signals) -> None:
        """Signal the bootstrap itself. ``EngineError`` when it is not there (any more)."""
        ...

    async def destroy(self) -> None:
        """End it, leave nothing of it behind. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What ``/healthz`` and the console say of the engine.

    ``os_parity`` is False where the functions' system is not CentOS 7's ABI; ``note`` says so.
    """

    name: str
    version: str
    image: str
    base: str
    os_parity: bool
    note: str = ""
    details: dict[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """Docker, or plain processes. Errors are ``EngineError``."""

    info: EngineInfo
    memory_total_mb: int

    async def open(self, listen: Listen) -> None:
        """Connect and sweep what an earlier run left. ``listen`` opens the runtime API."""
        ...

    def expect(self, code_digest: str) -> None:
        """A package is being checked, and will have to be prepared if it is good: begin with what
        needs nothing of it. Never fails; ``forget`` takes it back."""
        ...

    def take(self, package: Package) -> None:
        """What was expected is good, and soon kept: begin to make it ready. Never fails;
        ``prepare`` waits for it, ``forget`` takes it back."""
        ...

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        """Make code and layers ready to be mounted. Idempotent."""
        ...

    async def forget(self, code_digest: str) -> None:
        """Drop what was made ready for a package that no function uses any more."""
        ...

    async def launch(self, spec: InstanceSpec, sink: Sink) -> Container:
        """Start a container that waits for its release."""
        ...

    async def close(self) -> None:
        """End everything that was started and leave nothing behind."""
        ...
