"""The states of asynchronous events, for functions with ``TraceEnable``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox import limits

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.events.model import TracedEvent, TraceQuery
    from sandbox.events.ports import EventRepository


class Traces:
    """Queries the states of events without blocking the loop.

    States of events that ended more than three days ago (contract 5) are not shown, whether they
    are deleted already or not. Errors of the database are ``PlatformError``.
    """

    def __init__(self, repository: EventRepository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock

    @property
    def _since(self) -> float:
        return self._clock.now() - limits.EVENT_STATES_KEPT_S

    async def get(self, request_id: str) -> TracedEvent | None:
        """The state of one event, or None if there is none (any more)."""
        found = await asyncio.to_thread(self._repository.state, request_id)
        if found is None or 0 < found.ended_at < self._since:
            return None
        return found

    async def find(
        self, namespace: str, function_name: str, query: TraceQuery
    ) -> tuple[int, list[TracedEvent]]:
        """How many events match, and a page of them."""
        return await asyncio.to_thread(
            self._repository.states, namespace, function_name, query, self._since
        )
