"""Requests about triggers."""

from api.cloud.models.base import Request
from api.cloud.models.common import FilterPart


class CreateTriggerRequest(Request):
    """Add a trigger. ``Enable`` is ``OPEN`` or ``CLOSE``; a timer's ``TriggerDesc`` its cron."""

    FunctionName: str
    TriggerName: str
    Type: str
    TriggerDesc: str | None = None
    Namespace: str | None = None
    Qualifier: str | None = None
    Enable: str | None = None
    CustomArgument: str | None = None
    Description: str | None = None


class ListTriggersRequest(Request):
    """A page of a function's triggers."""

    FunctionName: str
    Namespace: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    OrderBy: str | None = None
    Order: str | None = None
    Filters: list[FilterPart] | None = None


class UpdateTriggerRequest(Request):
    """Change a trigger."""

    FunctionName: str
    TriggerName: str
    Type: str
    Enable: str | None = None
    Qualifier: str | None = None
    Namespace: str | None = None
    TriggerDesc: str | None = None
    Description: str | None = None
    CustomArgument: str | None = None


class UpdateTriggerStatusRequest(Request):
    """Switch a trigger on or off."""

    Enable: str
    FunctionName: str
    TriggerName: str
    Type: str
    Qualifier: str | None = None
    Namespace: str | None = None
    TriggerDesc: str | None = None


class DeleteTriggerRequest(Request):
    """Delete a trigger."""

    FunctionName: str
    TriggerName: str
    Type: str
    Namespace: str | None = None
    TriggerDesc: str | None = None
    Qualifier: str | None = None
