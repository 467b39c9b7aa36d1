"""What an instance needs from the sandbox around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio

    from sandbox.clock import Clock
    from sandbox.engine.base import InstanceSpec
    from sandbox.records.record import LogChunk


class InstanceRecorder(Protocol):
    """Who writes down what an instance does. Nothing of it waits or fails."""

    def lines(self, spec: InstanceSpec, chunk: LogChunk) -> None:
        """Its process wrote these lines."""
        ...

    def instance_changed(self, spec: InstanceSpec, state: str, at: float, reason: str = "") -> None:
        """It is in this state since ``at`` (seconds since the epoch); ``reason``: why it failed."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """What every instance is given.

    ``recorder`` is told of every state and every line. ``init_timeout_status`` is the function
    status code of an initialisation that failed or took too long.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    recorder: InstanceRecorder
    init_timeout_status: int = StatusCode.INIT_TIMEOUT
