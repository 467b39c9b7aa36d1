"""Every step in every state: on by the table, or refused."""

from __future__ import annotations

from itertools import product

import pytest

from sandbox.errors import IllegalTransitionError
from sandbox.instance.lifecycle import State, Step, next_state

LIFE = [
    (State.STARTING, Step.STARTED, State.STANDING_BY),
    (State.STANDING_BY, Step.RELEASED, State.INITIALISING),
    (State.INITIALISING, Step.READY, State.IDLE),
    (State.IDLE, Step.DISPATCHED, State.BUSY),
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
