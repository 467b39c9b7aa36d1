"""One event and its outcome: the first terminal state wins."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from sandbox import limits
from sandbox.status import StatusCode, error_object

if TYPE_CHECKING:
    import asyncio
    import signal
    from collections.abc import Callable

    from sandbox.functions.model import Function, FunctionVersion


class Cause(StrEnum):
    """Why an invocation was cancelled. Its status, 499, does not tell."""

    #: TerminateAsyncEvent named it.
    TERMINATED = "terminated"
    #: Its version was deleted by force.
    KILLED = "killed"
    #: The sandbox stops. An asynchronous event is run again by the next one.
    SHUTDOWN = "shutdown"


class Tail:
    """The last lines of one request, as many as 4 KB are made of. It grows while its request is
    the present one of its instance.

    ``lines`` are (seconds since the epoch, text). ``count`` is how many lines were ever added.
    """

    def __init__(self) -> None:
        """It begins empty."""
        self.lines: deque[tuple[float, str]] = deque()
        self.count = 0
        self._bytes = 0

    def add(self, line: tuple[float, str]) -> None:
        """Add a line, and drop the oldest ones that are above 4 KB as a whole."""
        self.lines.append(line)
        self.count += 1
        self._bytes += _size(line)
        while self._bytes - _size(self.lines[0]) >= limits.LOG_TAIL_BYTES:
            self._bytes -= _size(self.lines.popleft())


def _size(line: tuple[float, str]) -> int:
    """Bytes, the line end included."""
    return len(line[1].encode()) + 1


@dataclass(slots=True)
class Outcome:
    """What the caller of an invocation is told.

    ``body`` is the function's result as it was pushed, or the platform's error object.
    ``status_code`` is a function status code (contract 4.1), ``duration_ms`` and ``init_ms`` are
    milliseconds, ``mem_usage`` bytes. ``log`` is filled only when a tail was asked for; until then
    ``tail`` is where it comes from. ``cause`` is set when it was cancelled (499).
    """

    request_id: str
    status_code: int
    body: bytes | bytearray
    duration_ms: float = 0.0
    bill_ms: int = 0
    mem_usage: int = 0
    memory_mb: int = 0
    cold_start: bool = False
    init_ms: float = 0.0
    instance_id: str = ""
    log: str = ""
    tail: Tail | None = None
    cause: Cause | None = None

    @property
    def ok(self) -> bool:
        """Whether the function succeeded (status 200)."""
        return self.status_code == 200

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")


class Worker(Protocol):
    """The instance that works on an invocation, as the invocation and the invoker see it."""

    @property
    def instance_id(self) -> str:
        """32 hex digits."""
        ...

    def works_on(self, invocation: Invocation) -> bool:
        """Whether it was given the invocation and has not ended it."""
        ...

    def cancel(self, cause: Cause, message: str) -> None:
        """End everything it works on with 499, and end the instance."""
        ...

    def send_signal(self, number: signal.Signals) -> bool:
        """Signal the bootstrap, and say in the log whether it was received. False if it was not."""
        ...


class TakingRecorder(Protocol):
    """Who is told which instance works on an invocation."""

    def taken(self, invocation: Invocation, instance_id: str) -> None:
        """An instance begins to work on it. Neither waits nor fails."""
        ...


class Invocation:
    """An accepted event on its way through the sandbox.

    The invoker makes it, and the pool gives it to an instance. It ends once: by the function's
    push, by a timer, or by the death of its process. A watcher is called within the end itself.
    ``future`` can be awaited instead; cancelling it gives the invocation up. ``times`` collects
    the stages of the timeline, in seconds since the epoch.
    """

    __slots__ = (
        "_future",
        "_loop",
        "_watchers",
        "cause",
        "event",
        "function",
        "instance",
        "invocation_type",
        "outcome",
        "patience_s",
        "qualifier",
        "recorder",
        "redispatched",
        "request_id",
        "retry_num",
        "tail",
        "times",
        "version",
    )

    def __init__(
        self,
        function: Function,
        version: FunctionVersion,
        event: bytes,
        request_id: str,
        loop: asyncio.AbstractEventLoop,
        *,
        qualifier: str = "",
        invocation_type: str = "RequestResponse",
        tail: bool = False,
        retry_num: int = 0,
    ) -> None:
        """``qualifier`` is what the caller named; without it, the version's number."""
        self.function = function
        self.version = version
        self.event = event
        self.request_id = request_id
        self.qualifier = qualifier or version.version
        self.invocation_type = invocation_type
        self.tail = tail
        self.retry_num = retry_num
        self.times: dict[str, float] = {}
        #: How long it waits for an instance before it is refused, seconds.
        self.patience_s: float = limits.SYNC_WAIT_S
        #: The instance that was given it last. The recorder, if any, is told when there is one.
        self.instance: Worker | None = None
        self.recorder: TakingRecorder | None = None
        #: An instance died before it fetched the event, and another one was given it.
        self.redispatched = False
        #: Why it was cancelled. Set just before its end.
        self.cause: Cause | None = None
        #: None until it has ended. It stays None if it was given up.
        self.outcome: Outcome | None = None
        self._loop = loop
        self._future: asyncio.Future[Outcome] | None = None
        self._watchers: list[Callable[[], None]] = []

    @property
    def over(self) -> bool:
        """Whether it has ended or was given up."""
        return self.outcome is not None or (self._future is not None and self._future.done())

    @property
    def future(self) -> asyncio.Future[Outcome]:
        """Awaits its outcome."""
        if self._future is None:
            self._future = self._loop.create_future()
            if self.outcome is not None:
                self._future.set_result(self.outcome)
            else:
                self._future.add_done_callback(self._given_up)
        return self._future

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` when it has ended or was given up. The watcher must not fail."""
        self._watchers.append(watcher)

    def end(self, outcome: Outcome) -> None:
        """End it. Only the first outcome counts."""
        future = self._future
        if self.outcome is not None or (future is not None and future.done()):
            return  # ``over``, without a call
        self.outcome = outcome
        if future is not None:
            future.set_result(outcome)
        self._tell()

    def _given_up(self, future: asyncio.Future[Outcome]) -> None:
        if future.cancelled():
            self._tell()

    def _tell(self) -> None:
        # Most watchers hold the invocation. Dropping them here breaks that reference cycle.
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def taken_by(self, instance: Worker) -> None:
        """An instance begins to work on it. The same instance may say so again."""
        if self.instance is instance:
            return
        self.instance = instance
        if self.recorder is not None:
            self.recorder.taken(self, instance.instance_id)

    def refuse(self, status: int, message: str) -> None:
        """End it without an instance. The platform's error object is its result."""
        body = error_object(status, message, self.request_id)
        memory_mb = self.version.config.memory_mb
        self.end(Outcome(self.request_id, int(status), body, memory_mb=memory_mb, cause=self.cause))

    def cancel(self, cause: Cause, message: str) -> None:
        """End it with 499. Where an instance works on it, call ``Worker.cancel`` instead."""
        if not self.over:
            self.cause = cause
            self.refuse(StatusCode.CANCELED, message)


@dataclass(slots=True)  # one for every event: making a frozen one takes four times as long
class InvokeOptions:
    """How an invocation was asked for, beside its event. Nothing changes it.

    ``qualifier`` is a version or alias. The caller of the invoker makes ``request_id``, so that it
    can be answered before the invocation ends. ``source`` says who sent an asynchronous event, as
    ``InvokeType`` names it (``sandbox.triggers.types.SOURCES``).
    """

    request_id: str
    namespace: str = "default"
    qualifier: str = "$LATEST"
    tail: bool = False
    routing_key: dict[str, str] = field(default_factory=dict)
    invocation_type: str = "RequestResponse"
    retry_num: int = 0
    source: str = "API"
