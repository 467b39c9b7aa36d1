"""The states of an instance, as a table of legal transitions."""

from __future__ import annotations

from enum import StrEnum

from sandbox.errors import IllegalTransitionError


class State(StrEnum):
    STARTING = "starting"
    STANDING_BY = "standing by"
    INITIALISING = "initialising"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    GONE = "gone"


class Step(StrEnum):
    STARTED = "started"
    RELEASED = "released"
    READY = "ready"
    DISPATCHED = "dispatched"
    FINISHED = "finished"
    STOPPED = "stopped"
    REMOVED = "removed"


TRANSITIONS: dict[tuple[State, Step], State] = {
    (State.STARTING, Step.STARTED): State.STANDING_BY,
    (State.STANDING_BY, Step.RELEASED): State.INITIALISING,
    (State.INITIALISING, Step.READY): State.IDLE,
    (State.IDLE, Step.DISPATCHED): State.BUSY,
    (State.BUSY, Step.FINISHED): State.IDLE,
    (State.STARTING, Step.STOPPED): State.STOPPING,
    (State.STANDING_BY, Step.STOPPED): State.STOPPING,
    (State.INITIALISING, Step.STOPPED): State.STOPPING,
    (State.IDLE, Step.STOPPED): State.STOPPING,
    (State.BUSY, Step.STOPPED): State.STOPPING,
    (State.STOPPING, Step.REMOVED): State.GONE,
}


def next_state(state: State, step: Step) -> State:
    """The state after ``step``, or IllegalTransitionError."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise IllegalTransitionError(state, step) from None
