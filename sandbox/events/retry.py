"""Decides whether and when a failed event is tried again (contract 5). Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from sandbox.status import StatusCode

if TYPE_CHECKING:
    from sandbox.events.model import QueuedEvent
    from sandbox.functions.model import EventInvokeConfig

#: The back-off after errors of the sandbox itself, in retry intervals. It begins with the first
#: figure (1 s of 60 s), doubles, and ends at the second (5 min).
FIRST_DELAY = 1 / 60
LAST_DELAY = 5
#: 2 to this power is above LAST_DELAY / FIRST_DELAY.
_DOUBLINGS = 9


class Fault(Enum):
    """Why a try failed."""

    RUN = "run error"
    QUOTA = "over quota"
    SYSTEM = "system error"
    REQUEST = "request error"


_QUOTA = frozenset({429, StatusCode.RESOURCE_LIMIT_REACHED, StatusCode.INSUFFICIENT_RESOURCES})
_REQUEST = frozenset(
    {
        StatusCode.INVALID_EVENT,
        401,
        402,
        404,
        StatusCode.REQUEST_TOO_LARGE,
        410,
        StatusCode.FUNCTION_NOT_FOUND,
        436,
        StatusCode.FUNCTION_STATUS,
        441,
        StatusCode.QUALIFIER_NOT_FOUND,
        StatusCode.CANCELED,
    }
)


def fault_of(status: int) -> Fault:
    """The fault behind a status code other than 200."""
    if status in _QUOTA:
        return Fault.QUOTA
    if status in _REQUEST:
        return Fault.REQUEST
    return Fault.SYSTEM if status == StatusCode.INTERNAL_ERROR else Fault.RUN


def expiry(event: QueuedEvent, config: EventInvokeConfig) -> float:
    """When the event is too old to be tried, seconds since the epoch."""
    return event.accepted_at + config.msg_ttl_s


def next_try(
    fault: Fault,
    event: QueuedEvent,
    config: EventInvokeConfig,
    now: float,
    interval_s: float,
) -> float | None:
    """When the event is due again (seconds since the epoch), or None if it is given up.

    A run error is tried again ``config.retry_num`` times, one interval apart; an event over quota
    every interval; a system error after a growing delay. There is no try after the expiry.
    """
    if fault is Fault.REQUEST or (fault is Fault.RUN and event.retry_num >= config.retry_num):
        return None
    delay = interval_s
    if fault is Fault.SYSTEM:
        growth = 2 ** min(event.delays, _DOUBLINGS)
        delay = interval_s * min(FIRST_DELAY * growth, LAST_DELAY)
    due = now + delay
    return due if due < expiry(event, config) else None
