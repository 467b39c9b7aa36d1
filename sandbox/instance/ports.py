"""What an instance needs from the sandbox around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio

    from sandbox.clock import Clock
    from sandbox.records.recorder import Recorder


@dataclass(frozen=True, slots=True)
class InstanceContext:
    """What every instance is given.

    ``recorder`` is told of every state and every line. ``init_timeout_status`` is the function
    status code of an initialisation that failed or took too long.
    """

    loop: asyncio.AbstractEventLoop
    clock: Clock
    recorder: Recorder
    init_timeout_status: int = StatusCode.INIT_TIMEOUT
