"""An action gets a call and returns response fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from api.cloud.validation import switch, validate
from sandbox.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.cloud.models.base import Request
    from api.cloud.wire.request import CloudRequest

#: The fields of a response, without its RequestId.
Fields: TypeAlias = dict[str, Any]

#: Answers a call, or raises ``SandboxError``.
Action: TypeAlias = "Callable[[CloudRequest], Awaitable[Fields]]"

R = TypeVar("R", bound="Request")


def modelled(model: type[R], handler: Callable[[R], Awaitable[Fields]]) -> Action:
    """An action that first checks its parameters with a model."""

    async def act(call: CloudRequest) -> Fields:
        request = validate(call.action, model, call.params)
        if _dry_run(call):
            # An action that knows no dry run refuses the request: it must change nothing.
            raise UnsupportedError(f"this sandbox knows no DryRun of {call.action}: leave it out")
        return await handler(request)

    return act


def rehearsable(model: type[R], handler: Callable[[R, bool], Awaitable[Fields]]) -> Action:
    """A ``modelled`` action that can run dry. ``DryRun`` asks for that; no model has this field.

    If the request would succeed, the handler raises ``DryRunOperation`` and changes nothing.
    """

    async def act(call: CloudRequest) -> Fields:
        return await handler(validate(call.action, model, call.params), _dry_run(call))

    return act


def _dry_run(call: CloudRequest) -> bool:
    value = call.params.get("DryRun")
    return value is not None and switch(call.action, "DryRun", str(value))
