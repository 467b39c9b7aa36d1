"""Which push ends which event, when none of them says which one it means."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.instance.rendezvous import Event, Push, Rendezvous
from tests.support.clock import LoopTime

FIRST = Event("first", 128, 3000, b"1")
SECOND = Event("second", 128, 3000, b"2")


class Meeting:
    """A rendezvous and the events that were handed out by it, in order."""

    def __init__(self) -> None:
        self.time = LoopTime()
        self.place = Rendezvous(asyncio.get_running_loop(), settle_s=0.1)
        self.got: list[Event] = []

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.place.poll(self.got.append)

    def offer(self, event: Event) -> None:
        self.place.when_settled(lambda: self.place.offer(event))

    def push(self) -> Push:
        """What an instance does with a push: one that is accepted ends the event."""
        verdict = self.place.push()
        if verdict is Push.ACCEPTED:
            self.place.finish()
        return verdict


@pytest.fixture
async def meeting() -> Meeting:
    return Meeting()


async def test_a_poll_without_an_event_is_answered_when_there_is_one(meeting: Meeting) -> None:
    meeting.poll()
    assert meeting.got == []
    meeting.offer(FIRST)
    assert meeting.got == [FIRST]
    assert meeting.place.delivered == 1


async def test_a_poll_during_an_event_gets_the_same_event_at_once(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    assert meeting.place.delivered == 0
    meeting.poll(3)
    assert meeting.got == [FIRST] * 3
    assert meeting.place.delivered == 3


async def test_every_parked_poll_gets_the_event(meeting: Meeting) -> None:
    meeting.poll(2)
    meeting.offer(FIRST)
    assert meeting.got == [FIRST, FIRST]


async def test_a_poll_after_the_end_of_an_event_waits_for_a_new_one(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll()
    assert meeting.push() is Push.ACCEPTED
    meeting.poll()
    assert meeting.got == [FIRST]
    meeting.offer(SECOND)
    assert meeting.got == [FIRST, SECOND]


async def test_a_poll_whose_connection_is_gone_gets_nothing(meeting: Meeting) -> None:
    meeting.poll()
    meeting.place.unpark(meeting.got.append)
    meeting.place.unpark(meeting.got.append)
    meeting.offer(FIRST)
    assert meeting.got == []
    assert meeting.place.delivered == 0


async def test_a_push_before_any_event_is_an_orphan(meeting: Meeting) -> None:
    assert meeting.push() is Push.IGNORED_ORPHAN


async def test_a_push_cannot_end_an_event_that_nobody_fetched(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    assert meeting.push() is Push.IGNORED_ORPHAN
    meeting.poll()
    assert meeting.push() is Push.ACCEPTED


async def test_the_second_push_for_an_event_fetched_once_is_an_orphan(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll()
    assert [meeting.push(), meeting.push()] == [Push.ACCEPTED, Push.IGNORED_ORPHAN]


async def test_a_late_push_between_two_events_does_not_end_the_second(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll()
    meeting.push()
    meeting.offer(SECOND)
    assert meeting.push() is Push.IGNORED_ORPHAN
    meeting.poll()
    assert meeting.push() is Push.ACCEPTED


async def test_the_next_event_is_held_until_the_surplus_pushes_have_come(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll(3)
    meeting.push()
    meeting.poll()
    meeting.offer(SECOND)
    assert meeting.push() is Push.IGNORED_LATE
    assert meeting.got == [FIRST] * 3
    assert meeting.push() is Push.IGNORED_LATE
    assert meeting.got == [FIRST] * 3 + [SECOND]
    assert meeting.push() is Push.ACCEPTED


async def test_the_next_event_is_held_no_longer_than_the_settle_window(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll(2)
    meeting.push()
    meeting.offer(SECOND)
    meeting.poll()
    await meeting.time.advance(0.09)
    assert meeting.got == [FIRST, FIRST]
    await meeting.time.advance(0.02)
    assert meeting.got == [FIRST, FIRST, SECOND]


async def test_surplus_pushes_before_the_next_event_leave_nothing_to_hold(
    meeting: Meeting,
) -> None:
    meeting.offer(FIRST)
    meeting.poll(2)
    assert [meeting.push(), meeting.push()] == [Push.ACCEPTED, Push.IGNORED_LATE]
    meeting.offer(SECOND)
    meeting.poll()
    assert meeting.got == [FIRST, FIRST, SECOND]


async def test_a_settle_window_that_passes_unused_ends(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll(2)
    meeting.push()
    await meeting.time.advance(0.2)
    assert meeting.push() is Push.IGNORED_ORPHAN


async def test_an_event_fetched_by_nobody_needs_no_settling(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.place.finish()
    meeting.poll()
    assert meeting.got == []
    meeting.offer(SECOND)
    assert meeting.got == [SECOND]


async def test_nothing_runs_after_close(meeting: Meeting) -> None:
    meeting.offer(FIRST)
    meeting.poll(2)
    meeting.push()
    meeting.poll()
    meeting.offer(SECOND)
    meeting.place.close()
    await meeting.time.advance(1)
    assert meeting.got == [FIRST, FIRST]
    assert meeting.push() is Push.IGNORED_LATE
    assert meeting.push() is Push.IGNORED_ORPHAN


async def test_close_without_a_settle_window_is_quiet(meeting: Meeting) -> None:
    meeting.poll()
    meeting.place.close()
    meeting.place.close()
    assert meeting.got == []
