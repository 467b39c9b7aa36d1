"""The connection to one instance's init, and most of a ``Container`` with it."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from typing import TYPE_CHECKING, cast

import structlog

from sandbox.engine.base import Exit, Sink
from sandbox.engine.gauge import Measured
from sandbox.engine.init_protocol import (
    Discarded,
    Ended,
    Flushed,
    InitConnection,
    InitProtocolError,
    MemoryRose,
    NotStarted,
    Output,
    State,
)
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.gauge import Gauge
    from sandbox.engine.init_protocol import Message

log = structlog.get_logger()

KILLED = 128 + signal.SIGKILL
#: How often init looks at the memory of an instance that works, milliseconds.
SAMPLE_MS = 50
#: After so much time without a flush there is one. Init looks at the memory by itself while its
#: instance works, and tells what rises by 1 % or more: a flush tells the rest.
FRESH_S = 1.0

STANDBY_LOST = "before it was released: its container ended, or the connection to it was cut"
LOST = "with its init: somebody killed that, or the connection to it was cut"


class InitLink(Measured):
    """Speaks with one init, and tells the ``Sink`` what it says.

    An engine's container inherits from it: ``release``, ``flush``, ``watch`` and ``send_signal``
    are those of ``Container``; names and ``destroy`` are the engine's. It is the protocol of
    whatever transport leads to the init: the runtime API's connection, or one end of a socket pair.
    It never stops reading.

    The end of the connection is the end of the function, whatever came before it.
    """

    def __init__(self, sink: Sink, heard: Callable[[], None]) -> None:
        """``heard`` is called whenever something comes in (``InitLinks.heard``)."""
        self._sink = sink
        self._heard = heard
        self._connection = InitConnection()
        self._transport: asyncio.Transport | None = None
        self._flushes: deque[tuple[int, Callable[[], None]]] = deque()
        self._gauge: Gauge | None = None
        #: Bytes of output that were received or discarded, and as they were at the newest flush.
        self._received = self._received_before = 0
        self._flushed_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._memory = (0, 0)
        self._failure: NotStarted | None = None
        self._released = False
        self._quitting = False
        self._over = False
        #: Done when init has answered, or cannot any more (``EngineError``). From then on, and not
        #: before, the sink is told of the end.
        self.stands_by: asyncio.Future[None] = self._loop.create_future()

    # ------------------------------------------------------------------ the container's part

    def release(self) -> None:
        """Let the bootstrap run. Called once at most."""
        self._released = True
        self._send(self._connection.go())

    def flush(self, done: Callable[[], None]) -> None:
        """Call ``done`` when everything written until now was passed on, or the process is gone."""
        if self._over:
            done()
            return
        self._flushed_at = self._loop.time()
        self._received_before = self._received
        command = self._connection.flush()
        self._flushes.append((self._connection.asked, done))
        self._send(command)

    def settled(self) -> bool:
        """Whether a flush would bring nothing: it is not long ago, nothing was written since, and
        nothing is under way. False where it has to be asked for.

        After output there is always a flush: the platform's limits count anew for each request, and
        init discards what is beyond them since the last flush.
        """
        return (
            self._gauge is not None
            and not self._flushes
            and self._received == self._received_before
            and self._loop.time() - self._flushed_at < FRESH_S
            and self._gauge.settled(self._received)
        )

    def watch(self, *, closely: bool) -> None:
        """Have its memory looked at every 50 ms, or only at flushes."""
        self._send(self._connection.sample(SAMPLE_MS if closely else 0))

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the bootstrap itself. ``EngineError`` when it is not there (any more)."""
        if self._over or self._connection.state not in (State.RUNNING, State.SILENT):
            raise EngineError("there is no bootstrap left to be signalled")
        self._send(self._connection.signal(number))

    # ------------------------------------------------------------------ the engine's part

    def measure(self, gauge: Gauge) -> None:
        """See ``Measured``. A second one is not needed."""
        if self._over or self._gauge is not None:
            gauge.close()
        else:
            self._gauge = gauge

    def quit(self) -> None:
        """Have init end everything, at once."""
        self._quitting = True
        self._send(self._connection.quit())

    def hang_up(self) -> None:
        """Cut the connection, which ends init too, and tell the sink of the end if it does not
        know."""
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    # ------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected. It says nothing by itself: that it answers shows that it is there."""
        self._transport = cast("asyncio.Transport", transport)
        if self._quitting:
            self.hang_up()
        else:
            self.flush(self._answered)

    def data_received(self, data: bytes) -> None:
        """Any part of what init says."""
        self._heard()
        try:
            messages = self._connection.receive(data)
        except InitProtocolError as error:
            log.warning("init_not_understood", error=error.message)
            self.hang_up()
            return
        for message in messages:
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """Init is gone, and everything in the instance with it."""
        self._lost()

    # ------------------------------------------------------------------ inside

    def _answered(self) -> None:
        if not (self._over or self.stands_by.done()):
            self.stands_by.set_result(None)

    def _send(self, command: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(command)

    def _take(self, message: Message) -> None:
        match message:
            case Output():
                self._received += len(message.data)
                self._sink.output(message.data)
            case Flushed():
                self._note_memory(message.peak, message.oom_kills)
                while self._flushes and self._flushes[0][0] <= message.number:
                    self._flushes.popleft()[1]()
            case MemoryRose():
                self._note_memory(message.peak, message.oom_kills)
            case Discarded():
                self._received += message.size
                self._sink.discarded(message.size)
            case NotStarted():
                self._failure = message
            case Ended():
                self._send(self._connection.quit())
                # A kill is told by the end, which knows what an event that was not seen needs.
                self._note_memory(message.peak, self._memory[1])
                self._end(self._exit(message))
            case _:
                pass  # Started and OutputClosed change what is possible, and nothing else

    def _note_memory(self, peak: int, oom_kills: int) -> None:
        if self._memory != (peak, oom_kills):
            self._memory = peak, oom_kills
            self._sink.memory(peak, oom_kills)

    def _exit(self, end: Ended) -> Exit:
        if self._failure is not None:
            return Exit(end.code, errno=self._failure.errno, stage=self._failure.stage.name.lower())
        return Exit(end.code, oom_killed=end.oom_kills > 0)

    def _drop_gauge(self) -> None:
        gauge, self._gauge = self._gauge, None
        if gauge is None:
            return
        try:  # what the function has left behind may hold its pipe
            self._loop.run_in_executor(None, gauge.close)
        except RuntimeError:  # the loop ends, and takes no more work
            gauge.close()

    def _lost(self) -> None:
        if self._quitting:
            self._end(Exit(KILLED))
        else:
            self._end(Exit(None, reason=LOST if self._released else STANDBY_LOST))

    def _end(self, exit: Exit) -> None:
        """What came before the end counts before it: an event that was answered has its result."""
        if self._over:
            return
        self._over = True
        self._drop_gauge()
        while self._flushes:
            self._flushes.popleft()[1]()
        if self.stands_by.done():
            self._sink.ended(exit)
        else:
            self.stands_by.set_exception(EngineError(f"an instance ended {exit}"))
            self.stands_by.exception()  # which may be all that is left to be told
