"""What the control plane and an instance's init say to each other (``init/init.c``), without I/O.

A frame is 1 byte of type, 3 bytes of length, and a body; numbers are big endian.

    to init, 8 bytes each             from init             body
    G 0       go, once                S  Started            nothing
    F n       flush                   X  NotStarted         errno 4, stage 4
    K signal  to the bootstrap        O  Output             1 to 32,768 bytes
    W ms      sample memory every ms  D  Discarded          size 8
    Q 0       end now                 C  OutputClosed       nothing
                                      N  Flushed            n 4, peak 8, OOM kills 4
                                      M  MemoryRose         peak 8, OOM kills 4
                                      E  Ended              wait status 4, peak 8, OOM kills 4

Rules:

1. What the function wrote before a flush was asked for comes before its ``Flushed``, unless it is
   discarded; what it writes after the answer comes later. That is the border between two requests.
2. ``Flushed`` n answers every flush up to n, ``Ended`` all of them. None is asked for after it.
3. The first message is ``Started`` or ``NotStarted``, unless a flush was asked for before go. After
   ``NotStarted`` comes ``Ended``. Nothing comes after ``Ended``.
4. The control plane answers ``Ended`` with Q, else init waits 200 ms for it. The end of the
   connection without ``Ended`` is the end of the function, with whatever it had in hand.
5. Never stop reading because a flush is not answered: the answer comes behind the output.

Messages are tuples: two of different kinds may be equal. Tell them apart by ``match``, or by type.

The function cannot speak on this connection. All the same a frame against these rules is an error,
after which the connection has no meaning: hang up.
"""

from __future__ import annotations

import os
import struct
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from sandbox.errors import EngineError, IllegalTransitionError

if TYPE_CHECKING:
    import signal

#: init's own exit codes: see init/README.md.
EXIT_REFUSED = 111
EXIT_USAGE = 112
EXIT_GONE = 113

HEAD_BYTES = 4
OUTPUT_MAX_BYTES = 32 * 1024
_NUMBERS = 1 << 32
_COMMAND = struct.Struct("!cxxBI")
_FAILURE = struct.Struct("!II")
_COUNT = struct.Struct("!Q")
_BORDER = struct.Struct("!IQI")
_MEMORY = struct.Struct("!QI")


class InitProtocolError(EngineError):
    """An init sent what it never should. Hang up: its container ends by itself."""


class Stage(Enum):
    """How far init came with the bootstrap before it failed."""

    FORK = 1
    SETUP = 2
    EXEC = 3


class Started(NamedTuple):
    """The kernel took the bootstrap; nothing of it may have run yet."""


class NotStarted(NamedTuple):
    """``errno`` as the kernel gave it: what it means, the package tells."""

    errno: int
    stage: Stage

    def __str__(self) -> str:
        return f"{os.strerror(self.errno)} (at {self.stage.name.lower()})"


class Output(NamedTuple):
    """Bytes from stdout and stderr, in the order of writing, cut anywhere."""

    data: bytes


class Discarded(NamedTuple):
    """So many bytes of output, which the platform does not keep, were left out here."""

    size: int


class OutputClosed(NamedTuple):
    """Every writer has closed stdout and stderr. The function may run on."""


class Flushed(NamedTuple):
    """``number`` and all flushes before it. ``peak``: greatest anonymous and shared memory sampled
    so far, bytes. ``oom_kills``: processes killed so far for want of memory."""

    number: int
    peak: int
    oom_kills: int


class MemoryRose(NamedTuple):
    """A sample between two flushes saw more than was told, or a process killed for want of it."""

    peak: int
    oom_kills: int


class Ended(NamedTuple):
    """``status`` as ``os.waitpid`` gives it."""

    status: int
    peak: int
    oom_kills: int

    @property
    def code(self) -> int:
        """The exit code, or 128 + the number of the signal."""
        code = os.waitstatus_to_exitcode(self.status)
        return code if code >= 0 else 128 - code


Message = Started | NotStarted | Output | Discarded | OutputClosed | Flushed | MemoryRose | Ended


class State(Enum):
    """How far an instance is, as its init has told."""

    STANDBY = "standing by"
    RUNNING = "running"
    SILENT = "running, output closed"
    FAILED = "not started"
    ENDED = "ended"


#: What may come in which state, and the state after it.
TRANSITIONS: dict[State, dict[type[Message], State]] = {
    State.STANDBY: {
        Started: State.RUNNING,
        NotStarted: State.FAILED,
        Flushed: State.STANDBY,
    },
    State.RUNNING: {
        Output: State.RUNNING,
        Discarded: State.RUNNING,
        Flushed: State.RUNNING,
        MemoryRose: State.RUNNING,
        OutputClosed: State.SILENT,
        Ended: State.ENDED,
    },
    State.SILENT: {
        Discarded: State.SILENT,
        Flushed: State.SILENT,
        MemoryRose: State.SILENT,
        Ended: State.ENDED,
    },
    State.FAILED: {
        Flushed: State.FAILED,
        Ended: State.ENDED,
    },
    State.ENDED: {},
}


class InitConnection:
    """Both directions of one connection. Who owns the socket sends what the methods return.

    Not for several threads. After ``InitProtocolError`` it must not be used any more.
    """

    def __init__(self) -> None:
        self.state = State.STANDBY
        #: Number of the newest flush asked for, and of the newest one answered; they never wrap.
        self.asked = 0
        self.answered = 0
        self._went = False
        self._rest = b""

    def go(self) -> bytes:
        """Execute the bootstrap. Once."""
        if self._went:
            raise IllegalTransitionError(self.state, "go")
        self._went = True
        return _COMMAND.pack(b"G", 4, 0)

    def flush(self) -> bytes:
        """Ask for a border: ``asked`` is its number, and it is passed when ``answered`` is not
        less, or ``Ended`` has come."""
        if self.state is State.ENDED:
            raise IllegalTransitionError(self.state, "flush")
        self.asked += 1
        return _COMMAND.pack(b"F", 4, self.asked % _NUMBERS)

    def signal(self, number: signal.Signals) -> bytes:
        """Signal the bootstrap. Nothing happens where there is none (any more)."""
        return _COMMAND.pack(b"K", 4, number)

    def sample(self, every_ms: int) -> bytes:
        """Let init look at the memory so often, and not only at flushes; 0: only at flushes."""
        return _COMMAND.pack(b"W", 4, every_ms)

    def quit(self) -> bytes:
        """End now, and everything in the instance."""
        return _COMMAND.pack(b"Q", 4, 0)

    def receive(self, data: bytes) -> list[Message]:
        """The messages that are complete with these bytes. ``InitProtocolError`` for a bad one.

        Keeps less than one frame, that is at most 32 KB.
        """
        if self._rest:
            data = self._rest + data
        messages: list[Message] = []
        at, size = 0, len(data)
        while size - at >= HEAD_BYTES:
            kind, length = data[at], int.from_bytes(data[at + 1 : at + HEAD_BYTES])
            if not _fits(kind, length):
                raise InitProtocolError(f"init sent a frame of type {kind} with {length} bytes")
            end = at + HEAD_BYTES + length
            if end > size:
                break
            messages.append(self._take(kind, data[at + HEAD_BYTES : end]))
            at = end
        self._rest = data[at:]
        return messages

    def _take(self, kind: int, body: bytes) -> Message:
        message = _decode(kind, body)
        if isinstance(message, Flushed):
            message = self._answer(message)
        after = TRANSITIONS[self.state].get(type(message))
        if after is None or not (self._went or isinstance(message, Flushed)):
            raise InitProtocolError(f"init sent {type(message).__name__} while {self.state.value}")
        self.state = after
        return message

    def _answer(self, message: Flushed) -> Flushed:
        """The same with the whole number, of which the wire carries 32 bits."""
        number = self.asked - (self.asked - message.number) % _NUMBERS
        if number <= self.answered:
            raise InitProtocolError(f"init answered a flush that is not open: {message.number}")
        self.answered = number
        return message._replace(number=number)


#: Least and most bytes of each type's body.
_SIZES = {
    ord("S"): (0, 0),
    ord("X"): (_FAILURE.size, _FAILURE.size),
    ord("O"): (1, OUTPUT_MAX_BYTES),
    ord("D"): (_COUNT.size, _COUNT.size),
    ord("C"): (0, 0),
    ord("N"): (_BORDER.size, _BORDER.size),
    ord("M"): (_MEMORY.size, _MEMORY.size),
    ord("E"): (_BORDER.size, _BORDER.size),
}


def _fits(kind: int, length: int) -> bool:
    least, most = _SIZES.get(kind, (1, 0))
    return least <= length <= most


def _decode(kind: int, body: bytes) -> Message:
    """A body whose size is right, as a message."""
    match kind:
        case 0x4F:  # O
            return Output(body)
        case 0x4E:  # N
            return Flushed(*_BORDER.unpack(body))
        case 0x4D:  # M
            return MemoryRose(*_MEMORY.unpack(body))
        case 0x45:  # E
            return _ended(*_BORDER.unpack(body))
        case 0x44:  # D
            return Discarded(*_COUNT.unpack(body))
        case 0x58:  # X
            return _not_started(*_FAILURE.unpack(body))
        case 0x43:  # C
            return OutputClosed()
        case _:  # S: no other type has a size
            return Started()


def _ended(status: int, peak: int, oom_kills: int) -> Ended:
    if status > 0xFFFF or not (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
        raise InitProtocolError(f"init told of an end with wait status {status}")
    return Ended(status, peak, oom_kills)


def _not_started(errno: int, stage: int) -> NotStarted:
    try:
        return NotStarted(errno, Stage(stage))
    except ValueError as error:
        raise InitProtocolError(f"init failed at stage {stage}, which there is not") from error
