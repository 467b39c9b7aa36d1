"""One instance: a bootstrap in its container, from start to end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from sandbox.errors import EngineError
from sandbox.instance.borders import Borders
from sandbox.instance.event_session import EventSession
from sandbox.instance.initialisation import Initialisation
from sandbox.instance.lifecycle import ENDED, Lifecycle, State, Step
from sandbox.instance.logs import LogBook
from sandbox.instance.memory import MemoryUse
from sandbox.instance.run import Run
from sandbox.records.report import ColdStart, provisioned_report
from sandbox.status import StatusCode, error_object

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from sandbox.engine.base import Container, Exit, InstanceSpec
    from sandbox.instance.ports import InstanceContext
    from sandbox.instance.rendezvous import Event, Push
    from sandbox.instance.session import SessionFactory
    from sandbox.invocation import Cause, Invocation

#: The platform's words for 439.
PROCESS_EXIT = "User process exit when running"
STANDBY_ENDED = "its container ended while it stood by"


class InstanceOwner(Protocol):
    """The pool, as an instance sees it."""

    def instance_has_room(self, instance: Instance) -> None:
        """It can take an invocation."""
        ...

    def instance_stopping(self, instance: Instance) -> None:
        """It takes no more invocations; its container is to be destroyed."""
        ...

    def invocation_unserved(self, invocation: Invocation) -> None:
        """It died before anybody fetched this event: another instance can take it."""
        ...


class Instance:
    """Owns one container, its place in the life cycle, its memory, its logs and its runs.

    How invocations reach the bootstrap is its session's matter (``sandbox.instance.session``).
    The engine calls it as a ``Sink``; the pool ``attach``, ``release``, ``dispatch``, ``rest``,
    ``stop`` and ``removed``; the runtime API ``ready``, ``poll``, ``unpark`` and the
    pushes. It is a ``Worker`` to its invocations. All of this happens on one event loop.
    """

    def __init__(
        self,
        spec: InstanceSpec,
        *,
        timeout_s: float,
        init_timeout_s: float,
        owner: InstanceOwner,
        context: InstanceContext,
        recycled_by_failure: bool = False,
        session: SessionFactory = EventSession,
    ) -> None:
        """Times are in seconds. With ``recycled_by_failure`` any failed run ends the instance."""
        self.spec = spec
        self.container: Container | None = None
        #: When its code and layers were ready to be mounted: seconds since the epoch, 0 until then.
        self.prepared_at = 0.0
        #: How many invocations have ended here.
        self.served = 0
        #: Why it ended before its first invocation, if it was initialised ahead.
        self.failure = ""
        self.logs = LogBook(spec.instance_id, context.clock, partial(context.recorder.lines, spec))
        self.borders = Borders(spec, self.logs, context)
        self.memory_use = MemoryUse(spec.memory_mb)
        self._owner = owner
        self._context = context
        self._clock = context.clock
        self._recycled_by_failure = recycled_by_failure
        now = context.clock.now()
        self._life = Lifecycle(now)
        context.recorder.instance_changed(spec, self.state.value, now)
        self._init = Initialisation(spec, init_timeout_s, self.logs, context)
        self._runs: dict[Invocation, Run] = {}
        self._session = session(self, timeout_s, context)
        #: How many invocations it can work on at once.
        self.capacity = self._session.capacity

    # ------------------------------------------------------------------ what can be seen of it

    @property
    def instance_id(self) -> str:
        """32 hex digits: its name, and its secret."""
        return self.spec.instance_id

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self._life.state

    @property
    def transitions(self) -> list[tuple[State, float]]:
        """Its states, each with the time at which it began: seconds since the epoch."""
        return self._life.transitions

    @property
    def stood_by(self) -> bool:
        """Whether it was standing by when it ended, which is not what it was made for."""
        return self.failure == STANDBY_ENDED

    @property
    def load(self) -> int:
        """How many invocations it works on, the one included that it is initialised for."""
        return len(self._runs)

    @property
    def has_room(self) -> bool:
        """Whether it is initialised and can take one more invocation."""
        return self.state in (State.IDLE, State.BUSY) and self.load < self.capacity

    @property
    def invocation(self) -> Invocation | None:
        """What it works on; the longest of several."""
        return next(iter(self._runs), None)

    def works_on(self, invocation: Invocation) -> bool:
        """Whether it was given the invocation and has not ended it."""
        return invocation in self._runs

    # ------------------------------------------------------------------ the pool's side

    def attach(self, container: Container) -> None:
        """Its container was started, and waits for its release."""
        self.container = container
        self.borders.of(container)
        self._step(Step.STARTED)

    def release(self, invocation: Invocation | None) -> None:
        """Let the bootstrap run. The initialisation is part of ``invocation``, if there is one."""
        assert self.container is not None
        self._step(Step.RELEASED)
        began = self._init.begin(self._init_timed_out)
        if invocation is not None:
            self._runs[invocation] = Run(invocation, began, cold=True)
            invocation.taken_by(self)
            self.logs.begin(invocation.request_id)
            invocation.times["prepared"] = self.prepared_at
            invocation.times["started"] = self.transitions[1][1]
            invocation.times["released"] = self._clock.now()
        self.container.release()

    def dispatch(self, invocation: Invocation) -> None:
        """Give it an invocation, while it has room. The session starts the Timeout clock."""
        self._life.dispatched(len(self._runs), self.capacity)
        run = self._runs[invocation] = Run(invocation, self._clock.monotonic())
        invocation.taken_by(self)
        if self.container is not None:
            self.memory_use.watch(self.container, closely=True)
        self._session.take(run)

    def rest(self) -> None:
        """It has been idle for a while: let what watches its memory sleep."""
        assert self.container is not None
        self.memory_use.watch(self.container, closely=False)

    def stop(self) -> None:
        """End it. Runs that have no outcome by then end with 439: their process goes too."""
        if self.state in ENDED:
            return
        for run in tuple(self._runs.values()):
            self._fail(run, StatusCode.PROCESS_EXIT, PROCESS_EXIT)
        self._init.close()
        self._session.close()
        self._step(Step.STOPPED)
        self._owner.instance_stopping(self)

    def cancel(self, cause: Cause, message: str) -> None:
        """End everything it works on with 499, and with it the instance."""
        for invocation in self._runs:
            invocation.cause = cause
        self._fail_all(StatusCode.CANCELED, message)
        self.stop()

    def send_signal(self, number: signal.Signals) -> bool:
        """Signal the bootstrap, and say in the log of each run whether it was received."""
        assert self.container is not None
        try:
            self.container.send_signal(number)
            note, received = "[PLATFORM] Signal received successfully.", True
        except EngineError:
            note, received = "[PLATFORM] Signal reception failed.", False
        for invocation in self._runs:
            self.logs.note_for(invocation.request_id, note)
        return received

    def removed(self) -> None:
        """Its container is gone."""
        self._step(Step.REMOVED)

    # ------------------------------------------------------------------ the runtime API's side

    def ready(self) -> None:
        """The runtime reports that it is initialised."""
        self._session.ready()

    def poll(self, poller: Callable[[Event], None]) -> None:
        """The runtime asks for an event. It is answered at once, or when there is one."""
        self._session.poll(poller)

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """The connection of a waiting poll was closed."""
        self._session.unpark(poller)

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        """The runtime pushes a result or an error. The first push for an event ends it."""
        return self._session.push(body, error=error)

    def push_too_large(self) -> Push:
        """The runtime pushed more than 6 MB. What it sent was not kept."""
        return self._session.push_too_large()

    # ------------------------------------------------------------------ the engine's side

    def output(self, data: bytes) -> None:
        """Bytes that the bootstrap wrote to stdout and stderr, in order."""
        self.logs.feed(data)

    def discarded(self, size: int) -> None:
        """So much of its output was left out."""
        self.logs.discarded()

    def memory(self, peak: int, oom_kills: int) -> None:
        """Its memory was looked at. A process killed for want of it ends every run, with 434."""
        killed = self.memory_use.note(peak, oom_kills)
        if killed and self.state in (State.BUSY, State.INITIALISING):
            self._out_of_memory()

    def ended(self, exit: Exit) -> None:
        """The bootstrap has ended, by itself or not."""
        self.logs.end_line()
        if self.state in ENDED:
            return
        if self.state is State.INITIALISING and not exit.oom_killed:
            self._init_over()
            self._init.explain(exit, self._fail_init)
            return
        if self.state is State.STANDING_BY:
            self.failure = STANDBY_ENDED
        handed_back = self._hand_back()
        if self._runs or not handed_back:
            self._fail_by(exit)
        self.stop()

    # ------------------------------------------------------------------ the session's side

    def reported_ready(self) -> bool:
        """The initialisation ends here, and took until now; ``initialised`` follows. True once."""
        return self.state is State.INITIALISING and self._init.end()

    def initialised(self) -> None:
        """The bootstrap can take its first invocation. Only the first report counts."""
        self.reported_ready()
        took_ms = self._init.took_ms
        if self.state is not State.INITIALISING or took_ms is None:
            return
        self._step(Step.READY)
        run = next(iter(self._runs.values()), None)
        if run is None:
            self._report_provisioned(took_ms)
        else:
            run.init_ms = took_ms
            run.invocation.times["ready"] = self._clock.now()
            self._life.dispatched(0, self.capacity)
            run.began = self._clock.monotonic()
            self._session.take(run)
        if self.has_room:
            self._owner.instance_has_room(self)

    def succeeded(self, run: Run, body: bytes | bytearray) -> None:
        """``body`` is the result of this run."""
        self._end(run, StatusCode.SUCCESS, body)
        self._leave()

    def failed(self, run: Run, status: int, message: str) -> None:
        """The run failed. With asynchronous execution that ends the instance (contract 1.2)."""
        self._fail(run, status, message)
        if self._recycled_by_failure:
            self.stop()
        else:
            self._leave()

    def timed_out(self, run: Run, message: str, limit_ms: float) -> None:
        """The run took longer than ``limit_ms``. The instance ends with it."""
        self._fail(run, StatusCode.TIMEOUT, message, limit_ms)
        self.stop()

    # ------------------------------------------------------------------ inside

    def _step(self, step: Step) -> None:
        now = self._clock.now()
        self._life.step(step, now)
        self._context.recorder.instance_changed(self.spec, self.state.value, now, self.failure)

    def _leave(self) -> None:
        self._life.finished(len(self._runs))
        self._owner.instance_has_room(self)

    def _out_of_memory(self) -> None:
        self.memory_use.exhausted()
        self._fail_all(StatusCode.OUT_OF_MEMORY, f"Task memory exceeded {self.spec.memory_mb} MB")
        self.stop()

    def _init_timed_out(self) -> None:
        if self._init_over():
            self.borders.settle(lambda: self._fail_init(self._init.timed_out()))

    def _init_over(self) -> bool:
        """The initialisation has failed: nothing changes that while its words are sought."""
        if not self.reported_ready():
            return False
        for run in self._runs.values():
            run.ended = self._clock.monotonic()
        self._session.close()
        return True

    def _fail_init(self, message: str) -> None:
        if self.state is State.INITIALISING:
            self._fail_all(self._context.init_timeout_status, message)
            self.stop()

    def _hand_back(self) -> bool:
        """Give the pool back the invocations that have not reached the bootstrap. True if there
        were any.

        An invocation is given back once. The instance that was started for it does not give it
        back. So no invocation goes round for ever.
        """
        if self.state is not State.BUSY:
            return False
        handed_back = [
            invocation
            for invocation, run in self._runs.items()
            if not (run.cold or invocation.redispatched) and self._session.untouched(run)
        ]
        for invocation in handed_back:
            invocation.redispatched = True
            del self._runs[invocation]
            self._owner.invocation_unserved(invocation)
        return bool(handed_back)

    def _fail_by(self, exit: Exit) -> None:
        """End its runs with the status that fits the end of its process."""
        if exit.oom_killed:
            self._out_of_memory()
        elif self.state is State.BUSY:
            self._fail_all(StatusCode.PROCESS_EXIT, PROCESS_EXIT)
            self.logs.note(f"[PLATFORM] the bootstrap ended {exit}")
        elif self.state is State.IDLE and not self.served:
            self.failure = f"the bootstrap ended {exit} before any event"

    def _report_provisioned(self, init_ms: float) -> None:
        """It was initialised ahead: the log says what that took."""
        (_, began), (_, started), *_ = self.transitions
        phases = ColdStart.of(began, self.prepared_at, started, init_ms)
        self.logs.note(provisioned_report(phases, self.spec.memory_mb, self.memory_use.peak))

    def _fail_all(self, status: int, message: str) -> None:
        if not self._runs:
            self.failure = message
        for run in tuple(self._runs.values()):
            self._fail(run, status, message)

    def _fail(self, run: Run, status: int, message: str, duration_ms: float | None = None) -> None:
        body = error_object(status, message, run.invocation.request_id)
        self._end(run, status, body, duration_ms)

    def _end(
        self, run: Run, status: int, body: bytes | bytearray, duration_ms: float | None = None
    ) -> None:
        """End the run. Its duration is measured, unless ``duration_ms`` is given."""
        invocation = run.invocation
        elapsed = ((run.ended or self._clock.monotonic()) - run.began) * 1000
        if self._life.state is State.INITIALISING:
            run.init_ms, elapsed = elapsed, 0.0
        else:
            self._session.leave(run)
            if duration_ms is not None:
                elapsed = duration_ms
        del self._runs[invocation]
        invocation.times["finished"] = self._clock.now()
        self.served += 1
        invocation.end(
            run.outcome(status, body, elapsed, self.memory_use.peak, self.spec, self.logs.tail)
        )
