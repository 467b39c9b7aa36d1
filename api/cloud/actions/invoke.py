"""Invoke and InvokeFunction. They check parameters by hand, because a model takes too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from api.cloud.validation import invalid, missing, wrong_type
from sandbox.errors import NotFoundError, RequestError
from sandbox.functions.model import DEFAULT_ALIAS, DEFAULT_NAMESPACE, LATEST
from sandbox.functions.rules import check_function_name, parse_routing_key
from sandbox.invocation import InvokeOptions
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.cloud.actions.base import Action, Fields
    from api.cloud.wire.request import CloudRequest
    from sandbox.invocation import Outcome

SYNC, ASYNC = "RequestResponse", "Event"


class InvokerPort(Protocol):
    """What these actions need of the invoker. ``SandboxError`` if the event cannot run."""

    async def invoke(self, name: str, event: bytes, options: InvokeOptions, /) -> Outcome:
        """Run an event to its end."""
        ...

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions, /) -> None:
        """Accept an event to run later. It is on disk when this returns."""
        ...

    def start(
        self, name: str, event: bytes, options: InvokeOptions, answer: Callable[[Outcome], None], /
    ) -> bool:
        """Run an event without waiting, if it has only to be answered."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """The parameter names of one of the two actions, and the defaults.

    ``event`` names the parameter that holds the event. ``qualifier`` is the default version or
    alias. ``typed`` actions know ``InvocationType``. The other action always waits.
    """

    event: str
    qualifier: str
    typed: bool

    def kind(self, call: CloudRequest) -> str:
        """``RequestResponse`` or ``Event``."""
        kind = (self.typed and text_of(call, "InvocationType")) or SYNC
        if kind not in (SYNC, ASYNC):
            raise invalid(
                call.action, "InvocationType", f"InvocationType must be {SYNC} or {ASYNC}"
            )
        return kind


#: The actions that run a function, by name.
FORMS = {
    "Invoke": Form(event="ClientContext", qualifier=LATEST, typed=True),
    "InvokeFunction": Form(event="Event", qualifier=DEFAULT_ALIAS, typed=False),
}


class InvokeActions:
    """The actions that run a function."""

    def __init__(self, invoker: InvokerPort) -> None:
        self._invoker = invoker

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return dict.fromkeys(FORMS, self.run)

    def start(self, call: CloudRequest, answer: Callable[[Outcome], None]) -> bool:
        """Run an event, and call ``answer`` when it ends. Returns False and begins nothing if the
        ordinary way must run the event. The errors are those of the actions."""
        form = FORMS.get(call.action)
        if form is None or form.kind(call) != SYNC:
            return False
        name, event = text_of(call, "FunctionName"), event_of(call, form.event)
        try:
            return self._invoker.start(name, event, options_of(call, SYNC, form.qualifier), answer)
        except NotFoundError as error:
            raise _bad_name(name) or error from error

    async def run(self, call: CloudRequest) -> Fields:
        """Run an event. Wait for its end unless ``InvocationType`` is Event."""
        form = FORMS[call.action]
        kind = form.kind(call)
        name, event = text_of(call, "FunctionName"), event_of(call, form.event)
        options = options_of(call, kind, form.qualifier)
        try:
            if kind == ASYNC:
                await self._invoker.invoke_async(name, event, options)
                return {"Result": accepted(call.request_id)}
            return {"Result": result(await self._invoker.invoke(name, event, options))}
        except NotFoundError as error:
            raise _bad_name(name) or error from error


def text_of(call: CloudRequest, name: str) -> str:
    """A text parameter, empty if it is not given. FunctionName is required."""
    value = call.params.get(name)
    if type(value) is str:
        return value
    if value is not None:
        raise wrong_type(call.action, name, value)
    if name == "FunctionName":
        raise missing(call.action, name)
    return ""


def event_of(call: CloudRequest, name: str) -> bytes:
    """The event's bytes. Without one the function gets an empty object."""
    value = call.params.get(name)
    if isinstance(value, bytes):
        return value or b"{}"
    try:
        return text_of(call, name).encode() or b"{}"
    except UnicodeEncodeError as error:
        raise RequestError(
            f"{name} is not valid Unicode: {error.reason}", "InvalidParameterValue.Param"
        ) from error


def options_of(call: CloudRequest, kind: str, qualifier: str) -> InvokeOptions:
    """The options of the invocation. Some clients write ``LogType`` as ``tail``."""
    log_type = text_of(call, "LogType").lower()
    if log_type not in ("", "none", "tail"):
        raise invalid(call.action, "LogType", "LogType must be None or Tail")
    routing = text_of(call, "RoutingKey")
    return InvokeOptions(
        call.request_id,
        text_of(call, "Namespace") or DEFAULT_NAMESPACE,
        text_of(call, "Qualifier") or qualifier,
        log_type == "tail",
        parse_routing_key(routing) if routing else {},
        kind,
    )


def result(outcome: Outcome) -> dict[str, Any]:
    """``Result`` of an invocation that ended, or that was accepted (asynchronous execution).

    A failure has InvokeResult -1. Its error object is in ``RetMsg``, which clients read, and in
    ``ErrMsg``, which the documentation names. Both are the pushed bytes; the envelope makes them
    text.
    """
    if outcome.status_code == StatusCode.RUNNING:
        return accepted(outcome.request_id)
    text = outcome.body
    return {
        "MemUsage": outcome.mem_usage,
        "Log": outcome.log,
        "RetMsg": text,
        "BillDuration": outcome.bill_ms,
        "FunctionRequestId": outcome.request_id,
        "Duration": outcome.duration_ms,
        "ErrMsg": "" if outcome.ok else text,
        "InvokeResult": 0 if outcome.ok else -1,
    }


def accepted(request_id: str) -> dict[str, Any]:
    """``Result`` of an accepted event. Only its id is known."""
    return {
        "MemUsage": 0,
        "Log": "",
        "RetMsg": "",
        "BillDuration": 0,
        "FunctionRequestId": request_id,
        "Duration": 0,
        "ErrMsg": "",
        "InvokeResult": 0,
    }


def _bad_name(name: str) -> RequestError | None:
    """The error for a name that no function can have, else None. It is checked only if no function
    is found."""
    try:
        check_function_name(name)
    except RequestError as error:
        return RequestError(error.message, "InvalidParameter.FunctionName")
    return None
