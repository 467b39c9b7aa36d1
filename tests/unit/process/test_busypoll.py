"""Staying awake for a moment."""

from __future__ import annotations

import asyncio

from api.process.busypoll import BusyPoll
from tests.support.waiting import eventually


async def test_the_loop_goes_on_for_the_time_that_was_asked_for_and_no_longer() -> None:
    poll = BusyPoll(0.02)
    poll.keep_awake()
    poll.keep_awake()
    assert pending(poll) == 1
    await eventually(lambda: pending(poll) == 0)
    poll.keep_awake()
    assert pending(poll) == 1
    await eventually(lambda: pending(poll) == 0)


async def test_with_no_time_it_does_nothing() -> None:
    poll = BusyPoll(0)
    poll.keep_awake()
    assert pending(poll) == 0


def pending(poll: BusyPoll) -> int:
    """How many turns of it the event loop has before it."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    return sum(handle._callback == poll._turn for handle in ready)
