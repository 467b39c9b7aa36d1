"""Feeds an instance by the runtime API, with one event at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sandbox.deadline import Deadline
from sandbox.instance.rendezvous import Event, Push, Rendezvous
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.instance.ports import InstanceContext
    from sandbox.instance.run import Run
    from sandbox.instance.session import SessionOwner

#: A run of so many seconds may have filled its memory, or been killed for want of it: its instance
#: is asked before the result counts. A shorter one is not held up for that.
LONG_S = 0.005


class EventSession:
    """A ``Session`` (see ``sandbox.instance.session``) of polls, hand-outs and pushes.

    Output and results come by different ways. So a poll that follows a push first asks for a border
    (``Borders.flush``), and is answered, or parked, when that was passed: what the runtime
    wrote before it asked is in the log of the event before. Where that can be seen at once
    (``Borders.passed``), nobody is asked. ::

        push n ---> result n           poll ---> border ---> event n + 1, now or later
        ...lines of n, also after the push........|...lines of n + 1...

    The Timeout clock starts when an event can be handed out: at once where a poll is parked or
    nobody has asked yet, else at the border. It stands still while a border is waited for.
    """

    capacity = 1

    def __init__(self, owner: SessionOwner, timeout_s: float, context: InstanceContext) -> None:
        """``timeout_s`` is the function's Timeout, in seconds."""
        self._owner = owner
        self._logs = owner.logs
        self._memory_mb = owner.spec.memory_mb
        self._timeout_s = timeout_s
        self._time_limit_ms = int(timeout_s * 1000)
        self._clock = context.clock
        self._rendezvous = Rendezvous(context.loop)
        self._deadline = Deadline(context.loop)
        self._run: Run | None = None
        #: Whether something may have been written since the last border that belongs before it.
        self._written = True
        #: Polls that wait for a border, and since when; whether an event waits with them.
        self._polls: list[Callable[[Event], None]] = []
        self._asked_at = 0.0
        self._held = False
        #: The present run has its result, which may not be told yet.
        self._over = False

    # ------------------------------------------------------------------ the instance's side

    def take(self, run: Run) -> None:
        """Hand its event out as soon as nothing of the event before can be taken for its own."""
        self._run = run
        self._rendezvous.when_settled(self._offer)

    def leave(self, run: Run) -> None:
        """Its event is over. What the platform notes now is in the event's log, fetched or not."""
        self._deadline.lift()
        if "fetched" not in run.invocation.times:
            self._logs.begin_unless(run.invocation.request_id)
        if not self._over:
            self._rendezvous.finish()
        self._over = self._held = False
        self._run = None

    def untouched(self, run: Run) -> bool:
        """Whether no poll has been answered with its event."""
        return not (self._over or self._rendezvous.delivered)

    def close(self) -> None:
        """Forget polls and events, and leave no timer."""
        self._deadline.close()
        self._rendezvous.close()
        self._polls.clear()

    # ------------------------------------------------------------------ the runtime API's side

    def ready(self) -> None:
        """The runtime posted ``init/ready``: that is all that an event session waits for.

        What it wrote before comes first, so that the log tells it apart.
        """
        if self._owner.reported_ready():
            self._owner.borders.flush(self._owner.initialised)

    def poll(self, poller: Callable[[Event], None]) -> None:
        """Answer with the present event at once, else with the next one."""
        if not self._polls and (not self._written or self._owner.borders.passed()):
            self._written = False
            self._answer([poller])
            return
        self._polls.append(poller)
        if len(self._polls) == 1:
            self._written = False
            self._asked_at = self._clock.monotonic()
            self._deadline.lift()
            self._owner.borders.flush(self._passed)

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """Forget a poll whose connection was closed."""
        if poller in self._polls:
            self._polls.remove(poller)
        else:
            self._rendezvous.unpark(poller)

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        """End the present event, if it was fetched. Any other push is noted in the log."""
        if not error:
            return self._pushed(lambda run: self._owner.succeeded(run, body))
        message = body.decode("utf-8", "replace")
        return self._pushed(
            lambda run: self._owner.failed(run, StatusCode.USER_CODE_EXCEPTION, message)
        )

    def push_too_large(self) -> Push:
        """End the present event with 407, if it was fetched."""
        message = "The size of response exceeds the upper limit (6MB)"
        return self._pushed(
            lambda run: self._owner.failed(run, StatusCode.RESPONSE_TOO_LARGE, message)
        )

    # ------------------------------------------------------------------ inside

    def _offer(self) -> None:
        if self._polls:
            self._held = True  # until the border: ``_passed``
            return
        run = self._run
        assert run is not None
        invocation = run.invocation
        run.began = self._clock.monotonic()
        invocation.times["dispatched"] = self._clock.now()
        self._deadline.set(self._timeout_s, self._timed_out)
        self._rendezvous.offer(
            Event(invocation.request_id, self._memory_mb, self._time_limit_ms, invocation.event)
        )
        if self._rendezvous.delivered:
            self._fetched(run)

    def _passed(self) -> None:
        """The border that the polls waited for: all before it is in the log of the event before."""
        polls, self._polls = self._polls, []
        run = self._run
        if run is not None and not (self._held or self._over):
            now = self._clock.monotonic()
            run.began += now - max(self._asked_at, run.began)
            self._deadline.set(self._timeout_s - (now - run.began), self._timed_out)
        self._answer(polls)
        if self._held:
            self._held = False
            self._offer()

    def _answer(self, polls: list[Callable[[Event], None]]) -> None:
        """Give them the present event, or park them until there is one."""
        before = self._rendezvous.delivered
        for poller in polls:
            self._rendezvous.poll(poller)
        if self._run is not None and self._rendezvous.delivered > before == 0:
            self._fetched(self._run)

    def _fetched(self, run: Run) -> None:
        """The runtime has the event. What it writes from now on belongs to it."""
        run.invocation.times["fetched"] = self._clock.now()
        self._logs.begin_unless(run.invocation.request_id)

    def _pushed(self, end: Callable[[Run], None]) -> Push:
        verdict, run = self._rendezvous.push(), self._run
        if verdict is not Push.ACCEPTED or run is None:
            self._logs.note(f"[PLATFORM] push {verdict.value}")
            return verdict
        run.ended = self._clock.monotonic()
        patient = run.invocation.tail or run.ended - run.began >= LONG_S
        self._end(run, partial(end, run), settle=patient or self._owner.memory_use.short)
        return verdict

    def _end(self, run: Run, tell: Callable[[], None], *, settle: bool) -> None:
        """Its result is there. It is told at once, or when its log and its memory are known."""
        self._deadline.lift()
        self._rendezvous.finish()
        self._written = self._over = True
        if settle:
            self._owner.borders.settle(lambda: tell() if self._run is run else None)
        else:
            tell()

    def _timed_out(self) -> None:
        run = self._run
        assert run is not None
        message = f"Invoking task timed out after {self._timeout_s:g} seconds"
        if not self._rendezvous.delivered:
            message += ": the runtime did not fetch the event"
        tell = partial(self._owner.timed_out, run, message, self._timeout_s * 1000)
        self._end(run, tell, settle=True)
