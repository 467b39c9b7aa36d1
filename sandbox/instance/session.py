"""How an instance is fed: what every kind of session does.

An ``Instance`` is a container with its states, clock, memory and logs. A ``Session`` is the way
in which invocations reach the bootstrap and results come back. ``EventSession`` answers the polls
of the runtime API, with one event at a time. A session of a web function would pass requests
through to the bootstrap's port, with ``capacity`` of them at once; it would call ``initialised``
when the port accepts, and leave the polls of a runtime unanswered.

::

    runtime API --ready, poll, push-->  Session  --initialised, succeeded, failed-->  Instance
    pool --release, dispatch, stop-->  Instance  --take, leave, close-->  Session

Every ``Run`` that a session takes is ended by the instance, exactly once. The session may ask for
that (``succeeded``, ``failed``, ``timed_out``), or the instance does it by itself (out of memory,
a dead process, a cancellation). In both cases the session is told by ``leave``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.base import InstanceSpec
    from sandbox.instance.borders import Borders
    from sandbox.instance.logs import LogBook
    from sandbox.instance.memory import MemoryUse
    from sandbox.instance.ports import InstanceContext
    from sandbox.instance.rendezvous import Event, Push
    from sandbox.instance.run import Run


class SessionOwner(Protocol):
    """The instance, as its session sees it."""

    spec: InstanceSpec
    logs: LogBook
    borders: Borders
    memory_use: MemoryUse

    def initialised(self) -> None:
        """The bootstrap can take its first invocation. Only the first report counts."""
        ...

    def reported_ready(self) -> bool:
        """The initialisation ends here, and took until now; ``initialised`` follows. True once."""
        ...

    def succeeded(self, run: Run, body: bytes | bytearray) -> None:
        """``body`` is the result of this run."""
        ...

    def failed(self, run: Run, status: int, message: str) -> None:
        """The run failed with a function status code (contract 4.1); the bootstrap goes on."""
        ...

    def timed_out(self, run: Run, message: str, limit_ms: float) -> None:
        """The run took longer than ``limit_ms``. The instance ends with it."""
        ...


class Session(Protocol):
    """How one instance is fed. Single-threaded, and called on the event loop."""

    @property
    def capacity(self) -> int:
        """How many runs it takes at once."""
        ...

    # the instance's side

    def take(self, run: Run) -> None:
        """Bring this invocation to the bootstrap. Called while there is room for it."""
        ...

    def leave(self, run: Run) -> None:
        """The run is over, for whatever reason. Called before its invocation ends."""
        ...

    def untouched(self, run: Run) -> bool:
        """Whether nothing of this invocation has reached the bootstrap."""
        ...

    def close(self) -> None:
        """The instance stops. No timer is left, and nothing is called any more."""
        ...

    # the runtime API's side

    def ready(self) -> None:
        """The runtime reports that it is initialised."""
        ...

    def poll(self, poller: Callable[[Event], None]) -> None:
        """The runtime asks for an event. ``poller`` is called with it, now or later."""
        ...

    def unpark(self, poller: Callable[[Event], None]) -> None:
        """The connection of a waiting poll was closed."""
        ...

    def push(self, body: bytes | bytearray, *, error: bool = False) -> Push:
        """The runtime pushes a result, or an error."""
        ...

    def push_too_large(self) -> Push:
        """The runtime pushed more than 6 MB. What it sent was not kept."""
        ...


class SessionFactory(Protocol):
    """Makes the session of a new instance."""

    def __call__(self, owner: SessionOwner, timeout_s: float, context: InstanceContext) -> Session:
        """``timeout_s`` is the function's Timeout, in seconds."""
        ...
