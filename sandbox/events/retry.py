"""Whether and when a failed event is tried again (contract 5). Pure."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from sandbox.status import StatusCode

if TYPE_CHECKING:
    from sandbox.events.model import QueuedEvent
    from sandbox.functions.model import EventInvokeConfig

#: The back-off after errors of the sandbox's own: it begins with this share of the retry interval
#: (1 s of 60), doubles, and stops growing at this multiple of it (5 min).
FIRST_DELAY = 1 / 60
LAST_DELAY = 5
#: 2 to this power is above every ratio of the last delay to the first.
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
    """The class of a status code other than 200."""
    if status in _QUOTA:
        return Fault.QUOTA
    if status in _REQUEST:
        return Fault.REQUEST
    return Fault.SYSTEM if status == StatusCode.INTERNAL_ERROR else Fault.RUN


def expiry(event: QueuedEvent, config: EventInvokeConfig) -> float:
    """When the event is given up at the latest, seconds since the epoch."""
    return event.accepted_at + config.msg_ttl_s


def next_try(
    fault: Fault,
    event: QueuedEvent,
    config: EventInvokeConfig,
    now: float,
    interval_s: float,
) -> float | None:
    """When the event is due again (seconds since the epoch), or None when it is given up.

    Run errors: ``config.retry_num`` times, one interval apart. Over quota: every interval. System
    errors: after a growing delay. A try that would come after the expiry is none.
    """
    if fault is Fault.REQUEST or (fault is Fault.RUN and event.retry_num >= config.retry_num):
        return None
    delay = interval_s
    if fault is Fault.SYSTEM:
        growth = 2 ** min(event.delays, _DOUBLINGS)
        delay = interval_s * min(FIRST_DELAY * growth, LAST_DELAY)
    due = now + delay
    return due if due < expiry(event, config) else None
