"""One invocation on one instance: what its outcome is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sandbox.invocation import Outcome

if TYPE_CHECKING:
    from sandbox.engine.base import InstanceSpec
    from sandbox.invocation import Invocation, Tail


class Run:
    """What is measured while an instance works on an invocation.

    ``began`` is where its duration counts from, on the monotonic clock, in seconds: the release
    of the bootstrap, then the dispatch, then the hand-out. ``cold`` runs include the
    initialisation of their instance, which took ``init_ms`` milliseconds. ``ended`` is set where
    the end is told later than it came.
    """

    __slots__ = ("began", "cold", "ended", "init_ms", "invocation")

    def __init__(self, invocation: Invocation, began: float, *, cold: bool = False) -> None:
        """``began`` is a time of the monotonic clock, in seconds."""
        self.invocation = invocation
        self.began = began
        self.cold = cold
        self.init_ms = 0.0
        self.ended: float | None = None

    def outcome(
        self,
        status: int,
        body: bytes | bytearray,
        elapsed_ms: float,
        memory_peak: int,
        spec: InstanceSpec,
        tail: Tail,
    ) -> Outcome:
        """Make its outcome. ``memory_peak`` is in bytes. ``tail`` is kept if it was asked for."""
        invocation = self.invocation
        return Outcome(  # in the order of its fields: by name takes twice as long
            invocation.request_id,
            int(status),
            body,
            round(elapsed_ms, 3),
            math.ceil(elapsed_ms),
            memory_peak,
            spec.memory_mb,
            self.cold,
            round(self.init_ms, 3) if self.cold else 0.0,
            spec.instance_id,
            "",
            tail if invocation.tail else None,
            invocation.cause,
        )
