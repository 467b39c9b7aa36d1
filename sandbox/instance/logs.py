"""One instance's output, split into lines and given to requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.invocation import Tail
from sandbox.records.record import LogChunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.clock import Clock


LIMIT_NOTE = "[PLATFORM] log limit of 1 MB or 5000 lines per 5 s reached"


class LogBook:
    """Gives each line of an instance's output to the request it belongs to.

    A line belongs to the request whose event was fetched last. So lines of the initialisation
    belong to the first request, and lines after a result to the request before, never to the next
    (contract 2.3). The platform's limits hold: 8 KB a line, 1 MB and 5,000 lines per 5 s.
    """

    def __init__(self, instance_id: str, clock: Clock, sink: Callable[[LogChunk], None]) -> None:
        """``sink`` is given every chunk as soon as its lines are whole."""
        self._instance_id = instance_id
        self._clock = clock
        self._sink = sink
        self._request_id = ""
        self._partial = b""
        self._seq = 0
        self.tail = Tail()
        self._window_start = 0.0
        self._window_bytes = 0
        self._window_lines = 0
        #: Of the present request, whatever the window.
        self._bytes = self._lines = 0
        self._dropping = False

    def begin(self, request_id: str) -> None:
        """From now on lines belong to this request."""
        if self._partial:
            self._take([self._end_partial()])
        self._request_id = request_id
        self.tail = Tail()
        self._window_start = 0.0
        self._bytes = self._lines = 0

    def begin_unless(self, request_id: str) -> None:
        """``begin``, unless lines belong to this request already, as after an initialisation."""
        if request_id != self._request_id:
            self.begin(request_id)

    def feed(self, data: bytes) -> None:
        """Take output as it comes, cut anywhere."""
        *whole, rest = data.split(b"\n")
        lines: list[bytes] = []
        for piece in whole:
            self._extend_partial(piece)
            lines.append(self._end_partial())
        self._extend_partial(rest)
        if lines:
            self._take(lines)

    def note(self, text: str) -> None:
        """Add a line of the platform's own to the log of the present request."""
        self._take([text.encode()])

    def note_for(self, request_id: str, text: str) -> None:
        """Add such a line to the log of a request that may no longer be the present one."""
        if request_id == self._request_id:
            self.note(text)
            return
        line = (self._clock.now(), text)
        self._sink(LogChunk(request_id, self._instance_id, self._seq, [line]))
        self._seq += 1

    def discarded(self) -> None:
        """Output was left out on its way here. Where it was whole lines, the limit was passed; the
        rest of a line that is too long is not told of."""
        over = self._bytes >= limits.LOG_WINDOW_BYTES or self._lines >= limits.LOG_WINDOW_LINES
        if over and not self._dropping:
            self.note(LIMIT_NOTE)
            self._dropping = True

    def end_line(self) -> None:
        """What was written without a line end becomes a line."""
        if self._partial:
            self._take([self._end_partial()])

    def _extend_partial(self, piece: bytes) -> None:
        room = limits.LOG_LINE_BYTES - len(self._partial)
        self._partial += piece[:room]

    def _end_partial(self) -> bytes:
        line, self._partial = self._partial, b""
        return line.removesuffix(b"\r")

    def _take(self, lines: list[bytes]) -> None:
        now = self._clock.now()
        kept: list[tuple[float, str]] = []
        for raw in lines:
            if not self._within_rate(now, len(raw)):
                if not self._dropping:
                    self._dropping = True
                    kept.append((now, LIMIT_NOTE))
                continue
            self._dropping = False
            kept.append((now, raw.decode("utf-8", "replace")))
        if not kept:
            return
        for line in kept:
            self.tail.add(line)
        self._sink(LogChunk(self._request_id, self._instance_id, self._seq, kept))
        self._seq += 1

    def _within_rate(self, now: float, size: int) -> bool:
        if now - self._window_start >= limits.LOG_WINDOW_S:
            self._window_start = now
            self._window_bytes = self._window_lines = 0
        self._window_bytes += size
        self._window_lines += 1
        self._bytes += size
        self._lines += 1
        return (
            self._window_bytes <= limits.LOG_WINDOW_BYTES
            and self._window_lines <= limits.LOG_WINDOW_LINES
        )
