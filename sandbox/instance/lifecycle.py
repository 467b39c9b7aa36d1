"""The life of an instance: its states, and everything that moves it from one to the next.

Rules

* Everything that affects a transition is in this file. Other modules say what happened (a
  ``Step``) and read the state; none of them assigns a state.
* The table is complete. A pair that it lacks raises ``IllegalTransitionError``, and the state
  stays what it was.
* Nothing here does I/O, reads a clock or sets a timer. Whoever reports a step passes its time.
* A life goes forward. Its only loop is IDLE and BUSY.

::

    STARTING --STARTED--> STANDING_BY --RELEASED--> INITIALISING --READY--> IDLE <-----+
        |                      |                         |                   | |       |
        |                      |                         |        DISPATCHED | |   FINISHED
        |                      |                         |                   v |       |
        |                      |                         |          +--------BUSY------+
        |                      |                         |          |        ^ |
        |                      |                         |          |        +-+ JOINED, LEFT
        v                      v                         v          v
    STOPPING <--STOPPED------- from each of the five states ---------
        |
     REMOVED
        v
      GONE

Guards, which the table cannot see

* READY: a runtime may report it at any time and more than once. The instance passes it on only
  while INITIALISING.
* DISPATCHED and JOINED: BUSY means "load k of n". ``Lifecycle.dispatched`` chooses by load and
  capacity. A full instance gets DISPATCHED, which is illegal while BUSY. Events have capacity 1.
* FINISHED and LEFT: ``Lifecycle.finished`` chooses by the load that is left.
* STOPPED: the instance has ended or handed back every run. It ignores a second stop.
* REMOVED: the container is gone. An instance that never had one is dropped while STARTING.

An instance that is released for an invocation passes through IDLE when it is ready, and is BUSY
in the same turn of the event loop.
"""

from __future__ import annotations

from enum import StrEnum

from sandbox.errors import IllegalTransitionError


class State(StrEnum):
    """Where an instance is in its life. The values are shown to the user."""

    STARTING = "starting"
    STANDING_BY = "standing by"
    INITIALISING = "initialising"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    GONE = "gone"


class Step(StrEnum):
    """What happened to an instance."""

    STARTED = "started"
    RELEASED = "released"
    READY = "ready"
    DISPATCHED = "dispatched"
    JOINED = "joined"
    LEFT = "left"
    FINISHED = "finished"
    STOPPED = "stopped"
    REMOVED = "removed"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.STARTING, Step.STARTED): State.STANDING_BY,
    (State.STANDING_BY, Step.RELEASED): State.INITIALISING,
    (State.INITIALISING, Step.READY): State.IDLE,
    (State.IDLE, Step.DISPATCHED): State.BUSY,
    (State.BUSY, Step.JOINED): State.BUSY,
    (State.BUSY, Step.LEFT): State.BUSY,
    (State.BUSY, Step.FINISHED): State.IDLE,
    (State.STARTING, Step.STOPPED): State.STOPPING,
    (State.STANDING_BY, Step.STOPPED): State.STOPPING,
    (State.INITIALISING, Step.STOPPED): State.STOPPING,
    (State.IDLE, Step.STOPPED): State.STOPPING,
    (State.BUSY, Step.STOPPED): State.STOPPING,
    (State.STOPPING, Step.REMOVED): State.GONE,
}

#: The states in which an instance takes no more work and waits for its removal.
ENDED = frozenset({State.STOPPING, State.GONE})


def next_state(state: State, step: Step) -> State:
    """The state after ``step``, or IllegalTransitionError."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise IllegalTransitionError(state, step) from None


class Lifecycle:
    """The state of one instance and its timeline.

    ``transitions`` are the states with the times at which they began, in seconds since the epoch.
    Work that comes and goes is not among them: it would grow with every invocation.
    """

    __slots__ = ("state", "transitions")

    def __init__(self, at: float) -> None:
        """It begins to start at this time."""
        self.state = State.STARTING
        self.transitions: list[tuple[State, float]] = [(State.STARTING, at)]

    def step(self, step: Step, at: float) -> None:
        """Go on to the next state, and note the time."""
        self.state = next_state(self.state, step)
        self.transitions.append((self.state, at))

    def dispatched(self, load: int, capacity: int) -> None:
        """It is given one more invocation, beside ``load`` others."""
        step = Step.JOINED if 0 < load < capacity else Step.DISPATCHED
        self.state = next_state(self.state, step)

    def finished(self, load: int) -> None:
        """It ended an invocation, and ``load`` others are left."""
        self.state = next_state(self.state, Step.LEFT if load else Step.FINISHED)
