"""Feeds an instance by the runtime API, with one event at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.deadline import Deadline
from sandbox.instance.output_gap import OutputGap
from sandbox.instance.rendezvous import Event, Push, Rendezvous
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.instance.ports import InstanceContext
    from sandbox.instance.run import Run
    from sandbox.instance.session import SessionOwner


class EventSession:
    """A ``Session`` (see ``sandbox.instance.session``) of polls, hand-outs and pushes.

    An event is handed out when the surplus pushes of the event before have come (``Rendezvous``)
    and its output has come (``OutputGap``). The Timeout clock starts at the hand-out.
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
        self._output_gap = OutputGap(context.clock)
        self._deadline = Deadline(context.loop)
        self._run: Run | None = None
        #: The event waits only for the next poll: its Timeout clock runs already.
        self._held = False

    # ------------------------------------------------------------------ the instance's side

    def take(self, run: Run) -> None:
        """Hand its event out as soon as nothing of the event before can be taken for its own."""
        self._run = run
        self._rendezvous.when_settled(self._hand_out_when_quiet)

    def leave(self, run: Run) -> None:
        """Its event is over. What the platform notes now is in the event's log, fetched or not."""
        self._deadline.lift()
        if not self._rendezvous.delivered:
            self._logs.begin_unless(run.invocation.request_id)
        self._rendezvous.finish()
        self._output_gap.finished()
        self._held = False
        self._run = None

    def untouched(self, run: Run) -> bool:
        """Whether no poll has been answered with its event."""
        return not self._rendezvous.delivered

    def heard(self) -> None:
        """Output came. The next event may have to wait for the rest of it."""
        self._output_gap.heard()

    def close(self) -> None:
        """Forget polls and events, and leave no timer."""
        self._deadline.close()
        self._rendezvous.close()

    # ------------------------------------------------------------------ the runtime API's side

    def ready(self) -> None:
        """The runtime posted ``init/ready``: that is all that an event session waits for."""
        self._owner.initialised()

    def poll(self, poller: Callable[[Event], None]) -> None:
        """Answer with the present event at once, else with the next one."""
        self._output_gap.asked()
        self._rendezvous.poll(poller)
        run = self._run
        if run is None:
            return
        if self._held:
            self._held = False
            if self._output_gap.remaining():
                self._hand_out_when_quiet()
            else:
                self._hand_out(run)
        elif self._rendezvous.delivered == 1:
            self._fetched(run)

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """Forget a poll whose connection was closed."""
        self._rendezvous.unpark(poller)

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        """End the present event, if it was fetched. Any other push is noted in the log."""
        verdict, run = self._rendezvous.push(), self._run
        if verdict is not Push.ACCEPTED or run is None:
            self._logs.note(f"[PLATFORM] push {verdict.value}")
        elif not self._owner.sample():
            if error:
                message = body.decode("utf-8", "replace")
                self._owner.failed(run, StatusCode.USER_CODE_EXCEPTION, message)
            else:
                self._owner.succeeded(run, body)
        return verdict

    def push_too_large(self) -> Push:
        """End the present event with 407, if it was fetched."""
        verdict, run = self._rendezvous.push(), self._run
        if verdict is not Push.ACCEPTED or run is None:
            self._logs.note(f"[PLATFORM] push {verdict.value}")
        else:
            self._owner.failed(
                run,
                StatusCode.RESPONSE_TOO_LARGE,
                "The size of response exceeds the upper limit (6MB)",
            )
        return verdict

    # ------------------------------------------------------------------ inside

    def _hand_out_when_quiet(self) -> None:
        run, remaining = self._run, self._output_gap.remaining()
        assert run is not None
        if remaining:
            self._deadline.set(remaining, self._hand_out_when_quiet)
            return
        run.began = self._clock.monotonic()
        run.invocation.times["dispatched"] = self._clock.now()
        self._deadline.set(self._timeout_s, self._timed_out)
        if remaining is None:
            self._held = True  # the next poll decides
        else:
            self._hand_out(run)

    def _hand_out(self, run: Run) -> None:
        invocation = run.invocation
        self._rendezvous.offer(
            Event(invocation.request_id, self._memory_mb, self._time_limit_ms, invocation.event)
        )
        if self._rendezvous.delivered:
            self._fetched(run)

    def _fetched(self, run: Run) -> None:
        """The runtime has the event. What it writes from now on belongs to it."""
        run.invocation.times["fetched"] = self._clock.now()
        self._logs.begin_unless(run.invocation.request_id)

    def _timed_out(self) -> None:
        assert self._run is not None
        message = f"Invoking task timed out after {self._timeout_s:g} seconds"
        if not self._rendezvous.delivered:
            message += ": the runtime did not fetch the event"
        self._owner.timed_out(self._run, message, self._timeout_s * 1000)
