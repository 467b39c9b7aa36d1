"""What an instance needs from the sandbox around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandbox.clock import Clock
    from sandbox.engine.base import Exit, InstanceSpec
    from sandbox.records.record import LogChunk


class InstanceRecorder(Protocol):
    """Who writes down what an instance does. Nothing of it waits or fails."""

    def lines(self, spec: InstanceSpec, chunk: LogChunk) -> None:
        """Its process wrote these lines."""
        ...

    def instance_changed(self, spec: InstanceSpec, state: str, at: float, reason: str = "") -> None:
        """It is in this state since ``at`` (seconds since the epoch); ``reason``: why it failed."""
        ...


class Explainer(Protocol):
    """Who knows the packages, and can say of a bootstrap that did not start why that was."""

    def explain(
        self, spec: InstanceSpec, exit: Exit, output: str, tell: Callable[[str], None]
    ) -> None:
        """Call ``tell`` once, on the event loop: within the call, or some seconds later; never
        after the end of the sandbox.

        ``output`` is the last of what was written. The explanation is one line: what is wrong and
        what to do. It is empty where ``exit`` says all there is.
        """
        ...


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """What every instance is given.

    ``recorder`` is told of every state and every line. ``init_timeout_status`` is the function
    status code of an initialisation that failed or took too long. Without ``explainer`` a failed
    start is told as it is.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    recorder: InstanceRecorder
    init_timeout_status: int = StatusCode.INIT_TIMEOUT
    explainer: Explainer | None = None
