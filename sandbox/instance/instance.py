"""One instance: a bootstrap in its container, from start to end, one event at a time."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from sandbox.deadline import Deadline
from sandbox.errors import EngineError
from sandbox.instance.lifecycle import State, Step, next_state
from sandbox.instance.logs import LogBook
from sandbox.instance.output_gap import OutputGap
from sandbox.instance.rendezvous import Event, Push, Rendezvous
from sandbox.invocation import Outcome
from sandbox.records.report import ColdStart, provisioned_report
from sandbox.status import StatusCode, error_object

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from sandbox.engine.base import Container, Exit, InstanceSpec
    from sandbox.instance.ports import InstanceContext, InstanceOwner
    from sandbox.invocation import Cause, Invocation

MB = 1024 * 1024
#: Peak memory from which on it is worth asking whether something was killed for want of it.
NEAR_LIMIT = 0.9


class Instance:
    """Owns one container, its place in the life cycle, its timers and the event it works on.

    The engine calls ``output`` and ``ended``; the pool ``attach``, ``release``, ``dispatch`` and
    ``stop``; the runtime API ``ready``, ``poll``, ``unpark`` and ``push``. All on one event loop.
    """

    def __init__(
        self,
        spec: InstanceSpec,
        *,
        timeout_s: float,
        init_timeout_s: float,
        owner: InstanceOwner,
        surroundings: InstanceContext,
        recycled_by_failure: bool = False,
    ) -> None:
        self.spec = spec
        self.state = State.STARTING
        self.container: Container | None = None
        #: When its code and layers were ready to be mounted, wall clock; 0 until then.
        self.prepared_at = 0.0
        self.served = 0
        self.idle_since = 0.0
        self.memory_peak = 0
        #: Why it came to nothing, if it was initialised ahead and ended before any event.
        self.failure = ""
        self.invocation: Invocation | None = None
        self.transitions: list[tuple[State, float]] = [(State.STARTING, surroundings.clock.now())]
        self.logs = LogBook(
            spec.instance_id, surroundings.clock, partial(surroundings.recorder.lines, spec)
        )
        self._timeout_s = timeout_s
        self._init_timeout_s = init_timeout_s
        self._recycled_by_failure = recycled_by_failure
        self._owner = owner
        self._recorder = surroundings.recorder
        self._loop = surroundings.loop
        self._clock = surroundings.clock
        self._init_timeout_status = surroundings.init_timeout_status
        self._rendezvous = Rendezvous(surroundings.loop)
        self._deadline = Deadline(surroundings.loop)
        self._began = 0.0
        self._init_ms = 0.0
        self._fresh = True
        self._output_gap = OutputGap(surroundings.clock)
        self._held = False
        self._memory_limit = spec.memory_mb * MB
        self._recorder.instance_changed(spec, self.state.value, self.transitions[0][1])

    # ------------------------------------------------------------------ the pool's side

    def attach(self, container: Container) -> None:
        """Its container has been started and waits."""
        self.container = container
        self._step(Step.STARTED)

    def release(self, invocation: Invocation | None) -> None:
        """Let the bootstrap run; the initialisation is part of ``invocation``, if there is one."""
        assert self.container is not None
        self._step(Step.RELEASED)
        self.invocation = invocation
        if invocation is not None:
            invocation.taken_by(self)
            self.logs.begin(invocation.request_id)
            invocation.times["prepared"] = self.prepared_at
            invocation.times["started"] = self.transitions[1][1]
            invocation.times["released"] = self._clock.now()
        self._began = self._clock.monotonic()
        self._deadline.set(self._init_timeout_s, self._init_timed_out)
        self.container.release()

    def dispatch(self, invocation: Invocation) -> None:
        """Give it an event. The Timeout clock starts when the event can be handed out: at once,
        unless something of the event before may still be on its way."""
        self._step(Step.DISPATCHED)
        self.invocation = invocation
        invocation.taken_by(self)
        self._began = self._clock.monotonic()
        self._rendezvous.when_settled(self._hand_out_when_quiet)

    def stop(self) -> None:
        """End it. An invocation it still works on must have been ended before."""
        if self.state in (State.STOPPING, State.GONE):
            return
        self._deadline.close()
        self._rendezvous.close()
        self._step(Step.STOPPED)
        self._owner.instance_stopping(self)

    def cancel(self, cause: Cause, message: str) -> None:
        """End the event it works on with 499, and with it the instance."""
        if self.invocation is not None:
            self.invocation.cause = cause
        self._fail(StatusCode.CANCELED, message)
        self.stop()

    async def send_signal(self, number: signal.Signals) -> bool:
        """Signal the bootstrap, and say in the event's log whether it was received."""
        assert self.container is not None
        assert self.invocation is not None
        request_id = self.invocation.request_id
        try:
            await self.container.send_signal(number)
        except EngineError:
            self.logs.note_for(request_id, "[PLATFORM] Signal reception failed.")
            return False
        self.logs.note_for(request_id, "[PLATFORM] Signal received successfully.")
        return True

    def removed(self) -> None:
        """Its container is gone."""
        self._step(Step.REMOVED)

    def sample(self) -> None:
        """Look at its memory now: the peak is remembered, an OOM-killed child ends the event."""
        if self._oom_killed() and self.state in (State.BUSY, State.INITIALISING):
            self._out_of_memory()

    # ------------------------------------------------------------------ the runtime API's side

    def ready(self) -> None:
        """The runtime reports that it is initialised. Only the first report counts."""
        if self.state is not State.INITIALISING:
            return
        self._deadline.lift()
        self._init_ms = (self._clock.monotonic() - self._began) * 1000
        self._step(Step.READY)
        invocation = self.invocation
        if invocation is None:
            self._provisioned()
            return
        invocation.times["ready"] = self._clock.now()
        self.dispatch(invocation)

    def poll(self, poller: Callable[[Event], None]) -> None:
        """The runtime asks for an event: answered at once, or when there is one."""
        self._output_gap.asked()
        self._rendezvous.poll(poller)
        if self._held:
            self._held = False
            if self._output_gap.remaining():
                self._hand_out_when_quiet()
            else:
                self._hand_out()
        elif self._rendezvous.delivered == 1:
            self._fetched()

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """The connection of a waiting poll was closed."""
        self._rendezvous.unpark(poller)

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        """The runtime pushes a result, or an error. The first one for an event is its end."""
        verdict = self._rendezvous.push()
        if verdict is not Push.ACCEPTED:
            self.logs.note(f"[PLATFORM] push {verdict.value}")
        elif self._oom_killed():
            self._out_of_memory()
        elif error:
            self._fail(StatusCode.USER_CODE_EXCEPTION, body.decode("utf-8", "replace"))
            self._go_on_after_failure()
        else:
            self._finish(StatusCode.SUCCESS, body)
            self._become_idle()
        return verdict

    def push_too_large(self) -> Push:
        """The runtime pushed more than 6 MB; what it sent was not kept."""
        verdict = self._rendezvous.push()
        if verdict is not Push.ACCEPTED:
            self.logs.note(f"[PLATFORM] push {verdict.value}")
        else:
            self._fail(
                StatusCode.RESPONSE_TOO_LARGE,
                "The size of response exceeds the upper limit (6MB)",
            )
            self._go_on_after_failure()
        return verdict

    # ------------------------------------------------------------------ the engine's side

    def output(self, data: bytes) -> None:
        """Bytes from stdout and stderr, in order."""
        if not self._fresh or self.state is State.BUSY:
            self._output_gap.heard()
        self.logs.feed(data)

    def ended(self, exit: Exit) -> None:
        """The process is gone, whoever ended it."""
        self.logs.end()
        if self.state in (State.STOPPING, State.GONE):
            return
        if not self._hand_back():
            if exit.oom_killed:
                self._out_of_memory()
            elif self.state is State.INITIALISING:
                self._init_failed(exit)
            elif self.state is State.BUSY:
                self._fail(StatusCode.PROCESS_EXIT, "User process exit when running")
                self.logs.note(f"[PLATFORM] the bootstrap ended {exit}")
            elif self.state is State.IDLE and not self.served:
                self.failure = f"the bootstrap ended {exit} before any event"
        self.stop()

    # ------------------------------------------------------------------ inside

    def _step(self, step: Step) -> None:
        self.state = next_state(self.state, step)
        if step is Step.DISPATCHED or step is Step.FINISHED:
            return
        now = self._clock.now()
        self.transitions.append((self.state, now))
        self._recorder.instance_changed(self.spec, self.state.value, now, self.failure)

    def _hand_out_when_quiet(self) -> None:
        remaining = self._output_gap.remaining()
        if remaining:
            self._deadline.set(remaining, self._hand_out_when_quiet)
            return
        self._start_clock()
        if remaining is None:
            self._held = True  # until it is asked for: see poll
        else:
            self._hand_out()

    def _start_clock(self) -> None:
        assert self.invocation is not None
        self._began = self._clock.monotonic()
        self.invocation.times["dispatched"] = self._clock.now()
        self._deadline.set(self._timeout_s, self._timed_out)

    def _hand_out(self) -> None:
        invocation = self.invocation
        assert invocation is not None
        self._rendezvous.offer(
            Event(
                invocation.request_id,
                self.spec.memory_mb,
                int(self._timeout_s * 1000),
                invocation.event,
            )
        )
        if self._rendezvous.delivered:
            self._fetched()

    def _fetched(self) -> None:
        """The runtime has the event: what it writes from now on belongs to it, not before."""
        invocation = self.invocation
        assert invocation is not None
        invocation.times["fetched"] = self._clock.now()
        self.logs.begin_unless(invocation.request_id)

    def _become_idle(self) -> None:
        self._step(Step.FINISHED)
        self.idle_since = self._loop.time()
        self._owner.instance_idle(self)

    def _go_on_after_failure(self) -> None:
        """With asynchronous execution any failure ends the instance (contract 1.2)."""
        if self._recycled_by_failure:
            self.stop()
        else:
            self._become_idle()

    def _oom_killed(self) -> bool:
        container = self.container
        if container is None:
            return False
        peak = container.memory_peak()
        if peak > self.memory_peak:
            self.memory_peak = peak
        if self.memory_peak < self._memory_limit * NEAR_LIMIT:
            return False
        return container.oom_kills() > 0

    def _out_of_memory(self) -> None:
        self.memory_peak = max(self.memory_peak, self._memory_limit)
        self._fail(StatusCode.OUT_OF_MEMORY, f"Task memory exceeded {self.spec.memory_mb} MB")
        self.stop()

    def _timed_out(self) -> None:
        message = f"Invoking task timed out after {self._timeout_s:g} seconds"
        if not self._rendezvous.delivered:
            message += ": the runtime did not fetch the event"
        self._oom_killed()
        self._fail(StatusCode.TIMEOUT, message, duration_ms=self._timeout_s * 1000)
        self.stop()

    def _init_timed_out(self) -> None:
        self._oom_killed()
        self._fail(
            self._init_timeout_status,
            f"Initialization timed out after {self._init_timeout_s:g} seconds: the bootstrap did"
            " not POST /runtime/init/ready in time",
        )
        self.stop()

    def _init_failed(self, exit: Exit) -> None:
        lines = self.logs.tail.lines
        last = f": {lines[-1][1]}" if lines else ", without any output"
        self._fail(
            self._init_timeout_status,
            f"Initialization failed: the bootstrap ended {exit} before it reported ready{last}",
        )

    def _hand_back(self) -> bool:
        """Give an event that nobody fetched back to the pool: it met a warm instance's death.

        Only once, and not on a first event, so that no event goes round for ever.
        """
        invocation = self.invocation
        if self.state is not State.BUSY or invocation is None:
            return False
        if self._rendezvous.delivered or self._fresh or invocation.redispatched:
            return False
        invocation.redispatched = True
        self.invocation = None
        self._owner.invocation_unserved(invocation)
        return True

    def _provisioned(self) -> None:
        """It was initialised ahead: its first event will find it warm."""
        self._oom_killed()  # looks at the memory
        self._fresh = False
        (_, began), (_, started), *_ = self.transitions
        phases = ColdStart.of(began, self.prepared_at, started, self._init_ms)
        report = provisioned_report(phases, self.spec.memory_mb, self.memory_peak)
        self.logs.note(report)
        self.idle_since = self._loop.time()
        self._owner.instance_idle(self)

    def _fail(self, status: int, message: str, duration_ms: float | None = None) -> None:
        invocation = self.invocation
        if invocation is None:
            self.failure = message
            return
        body = error_object(status, message, invocation.request_id)
        self._finish(status, body, duration_ms)

    def _finish(
        self, status: int, body: bytes | bytearray, duration_ms: float | None = None
    ) -> None:
        invocation = self.invocation
        assert invocation is not None
        self._deadline.lift()
        elapsed = (self._clock.monotonic() - self._began) * 1000
        if self.state is State.INITIALISING:
            self._init_ms, elapsed = elapsed, 0.0
        elif duration_ms is not None:
            elapsed = duration_ms
        self._rendezvous.finish()
        self.logs.begin_unless(invocation.request_id)  # where nobody fetched it
        self.invocation = None
        invocation.times["finished"] = self._clock.now()
        cold, self._fresh = self._fresh, False
        self._output_gap.finished()
        self._held = False
        self.served += 1
        invocation.end(
            Outcome(
                request_id=invocation.request_id,
                status_code=int(status),
                body=body,
                duration_ms=round(elapsed, 3),
                bill_ms=math.ceil(elapsed),
                mem_usage=self.memory_peak,
                memory_mb=self.spec.memory_mb,
                cold_start=cold,
                init_ms=round(self._init_ms, 3) if cold else 0.0,
                instance_id=self.spec.instance_id,
                tail=self.logs.tail if invocation.tail else None,
                cause=invocation.cause,
            )
        )
