"""What an instance knows of the sandbox around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio

    from sandbox.clock import Clock
    from sandbox.instance.instance import Instance
    from sandbox.invocation import Invocation
    from sandbox.records.recorder import Recorder


class InstanceOwner(Protocol):
    """The pool, as an instance sees it."""

    def instance_idle(self, instance: Instance) -> None:
        """It can take an event."""
        ...

    def instance_stopping(self, instance: Instance) -> None:
        """It takes no more events; its container is to be destroyed."""
        ...

    def invocation_unserved(self, invocation: Invocation) -> None:
        """It died with an event that nobody had fetched: another instance can take it."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """What every instance needs from outside."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    recorder: Recorder
    init_timeout_status: int = StatusCode.INIT_TIMEOUT
