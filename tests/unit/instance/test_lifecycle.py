"""Every step in every state: on by the table, or refused."""

from __future__ import annotations

from itertools import product

import pytest

from sandbox.errors import IllegalTransitionError
from sandbox.instance.lifecycle import Lifecycle, State, Step, next_state

LIFE = [
    (State.STARTING, Step.STARTED, State.STANDING_BY),
    (State.STANDING_BY, Step.RELEASED, State.INITIALISING),
    (State.INITIALISING, Step.READY, State.IDLE),
    (State.IDLE, Step.DISPATCHED, State.BUSY),
    (State.BUSY, Step.JOINED, State.BUSY),
    (State.BUSY, Step.LEFT, State.BUSY),
    (State.BUSY, Step.FINISHED, State.IDLE),
    (State.STOPPING, Step.REMOVED, State.GONE),
]
ENDS = [
    (state, Step.STOPPED, State.STOPPING)
    for state in State
    if state not in (State.STOPPING, State.GONE)
]
LEGAL = {(state, step): after for state, step, after in LIFE + ENDS}


@pytest.mark.parametrize(("state", "step"), list(product(State, Step)))
def test_a_step_goes_on_where_it_is_legal_and_raises_where_not(state: State, step: Step) -> None:
    if (state, step) in LEGAL:
        assert next_state(state, step) is LEGAL[state, step]
        return
    with pytest.raises(IllegalTransitionError) as refusal:
        next_state(state, step)
    assert refusal.value.state is state
    assert refusal.value.event is step
    assert str(refusal.value) == f"InternalError.System: illegal transition: {step} while {state}"


def alive(capacity: int, load: int = 0) -> Lifecycle:
    """An initialised life with this load, which began at 0."""
    life = Lifecycle(0.0)
    for at, step in enumerate((Step.STARTED, Step.RELEASED, Step.READY), start=1):
        life.step(step, float(at))
    for before in range(load):
        life.dispatched(before, capacity)
    return life


def test_a_timeline_has_each_state_with_its_time() -> None:
    life = alive(capacity=1, load=1)
    life.finished(0)
    life.step(Step.STOPPED, 7.0)
    assert life.transitions == [
        (State.STARTING, 0.0),
        (State.STANDING_BY, 1.0),
        (State.INITIALISING, 2.0),
        (State.IDLE, 3.0),
        (State.STOPPING, 7.0),
    ]


@pytest.mark.parametrize("capacity", [1, 3])
def test_a_full_instance_takes_no_more(capacity: int) -> None:
    life = alive(capacity, load=capacity)
    with pytest.raises(IllegalTransitionError):
        life.dispatched(capacity, capacity)
    assert life.state is State.BUSY


def test_an_instance_is_busy_until_the_last_of_its_work_has_ended() -> None:
    life = alive(capacity=3, load=3)
    states = []
    for left in (2, 1, 0):
        life.finished(left)
        states.append(life.state)
    assert states == [State.BUSY, State.BUSY, State.IDLE]


def test_work_cannot_end_where_there_is_none() -> None:
    with pytest.raises(IllegalTransitionError):
        alive(capacity=3).finished(0)
