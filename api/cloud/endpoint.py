"""Turns a raw request into the answer's envelope: reads it, checks it, runs its action."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from api.cloud.actions.account import AccountActions
from api.cloud.actions.aliases import AliasActions
from api.cloud.actions.concurrency import ConcurrencyActions
from api.cloud.actions.events import EventActions
from api.cloud.actions.functions import FunctionActions
from api.cloud.actions.invoke import InvokeActions, result
from api.cloud.actions.layers import LayerActions
from api.cloud.actions.logs import LogActions
from api.cloud.actions.namespaces import NamespaceActions
from api.cloud.actions.transfer import TransferActions
from api.cloud.actions.versions import VersionActions
from api.cloud.extra_fields import BEYOND_SDK
from api.cloud.models import REQUESTS
from api.cloud.wire import envelope
from api.cloud.wire.params import parse
from api.cloud.wire.request import API_VERSION
from sandbox.clock import new_request_id
from sandbox.errors import (
    DISK_ADVICE,
    PlatformError,
    RequestError,
    SandboxError,
    UnsupportedError,
    disk_error,
)
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.cloud.actions.base import Action
    from api.cloud.actions.invoke import InvokerPort
    from api.cloud.unknown_fields import UnknownFields
    from api.cloud.wire.policy import Policy
    from api.cloud.wire.request import CloudRequest, RawRequest
    from api.downloads import Downloads
    from sandbox.clock import Clock
    from sandbox.events.queue import EventQueue
    from sandbox.events.tracing import Traces
    from sandbox.functions.catalog import Catalog
    from sandbox.invocation import Outcome
    from sandbox.packages.package import PackageStore
    from sandbox.records.history import History

log = structlog.get_logger()


class CloudApi:
    """The SCF API. Knows every action by name, and runs those that are simulated."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        packages: PackageStore,
        invoker: InvokerPort,
        history: History,
        queue: EventQueue,
        traces: Traces,
        downloads: Downloads,
        policy: Policy,
        unknown_fields: UnknownFields,
        clock: Clock,
        region: str,
    ) -> None:
        self._policy = policy
        self._unknown_fields = unknown_fields
        self._invokes = InvokeActions(invoker)
        self._tasks = TaskOwner()
        functions, versions, layers = catalog.functions, catalog.versions, catalog.layers
        self._actions: dict[str, Action] = {
            **FunctionActions(functions, versions, layers, packages).actions(),
            **TransferActions(functions, downloads, clock, region).actions(),
            **VersionActions(functions, versions).actions(),
            **AliasActions(catalog.aliases).actions(),
            **LayerActions(layers, catalog.layer_service, downloads).actions(),
            **NamespaceActions(catalog.namespaces).actions(),
            **ConcurrencyActions(catalog.concurrency).actions(),
            **self._invokes.actions(),
            **LogActions(functions, history, clock).actions(),
            **EventActions(functions, queue, traces).actions(),
            **AccountActions(functions, catalog.namespaces, catalog.quotas).actions(),
        }

    @property
    def simulated(self) -> frozenset[str]:
        """The actions that work here."""
        return frozenset(self._actions)

    async def answer(self, raw: RawRequest) -> bytes:
        """The body of the answer to any request. It raises nothing and shows no stack."""
        request_id = new_request_id()
        try:
            request = self._accept(raw, request_id)
        except Exception as error:  # the boundary: see _failed
            return envelope.encode(_failed(error, request_id))
        return envelope.encode(await self._run(request))

    def answer_invoke(self, raw: RawRequest, answer: Callable[[bytes], None]) -> None:
        """``answer`` for an Invoke or InvokeFunction. It calls back instead of being awaited.

        Most events come this way. So it does nothing that the answer does not need, and starts no
        task.
        """
        request_id = new_request_id()
        try:
            request = self._accept(raw, request_id)
            if request.version == API_VERSION and self._invokes.start(
                request, lambda outcome: answer(_answer_of(outcome))
            ):
                return
        except Exception as error:  # the boundary: see _failed
            answer(envelope.encode(_failed(error, request_id)))
        else:
            self._tasks.start(self._answer_later(request, answer))

    def _accept(self, raw: RawRequest, request_id: str) -> CloudRequest:
        request = parse(raw, request_id)
        self._policy.check(raw, request)
        if request.version == API_VERSION:
            self._unknown_fields.check(request)
        return request

    async def _answer_later(self, request: CloudRequest, answer: Callable[[bytes], None]) -> None:
        answer(envelope.encode(await self._run(request)))

    async def _run(self, request: CloudRequest) -> dict[str, Any]:
        """The envelope that answers a request whose signature was accepted."""
        request_id = request.request_id
        try:
            fields = await self._action(request)(request)
        except Exception as error:  # the boundary: see _failed
            return _failed(error, request_id, request.action)
        return envelope.success(fields, request_id)

    def _action(self, request: CloudRequest) -> Action:
        if not request.action:
            raise RequestError(
                "the required parameter Action is missing: send it", "MissingParameter"
            )
        if not request.version:
            raise RequestError(
                "the required parameter Version is missing: send it", "MissingParameter"
            )
        if request.version != API_VERSION:
            raise RequestError(
                f"there is no version {request.version[:40]!r} of this API: use {API_VERSION}",
                "NoSuchVersion",
            )
        action = self._actions.get(request.action)
        if action is not None:
            return action
        if request.action in REQUESTS or request.action in BEYOND_SDK:
            raise UnsupportedError(
                f"this sandbox does not simulate {request.action}: see docs/en/api.md"
            )
        raise RequestError(
            f"the API has no action {request.action[:80]!r}: check its spelling", "InvalidAction"
        )


def _answer_of(outcome: Outcome) -> bytes:
    fields = {"Result": result(outcome)}
    return envelope.encode(envelope.success(fields, outcome.request_id))


def _failed(error: Exception, request_id: str, action: str = "") -> dict[str, Any]:
    """The envelope for any exception. It logs those that are not the caller's fault.

    Every error of a request comes here, because no caller of this could answer in the API's form. A
    stack never reaches the client.
    """
    if isinstance(error, OSError) and error.errno in DISK_ADVICE:
        error = disk_error(error)
    if not isinstance(error, SandboxError):
        log.error("request_failed", request_id=request_id, action=action, exc_info=error)
        return envelope.failure(
            "InternalError",
            f"the sandbox failed at this request: its log has the reason under {request_id}",
            request_id,
        )
    if isinstance(error, PlatformError):
        log.error(
            "request_failed",
            request_id=request_id,
            action=action,
            code=error.code,
            reason=error.message,
        )
    return envelope.failure(error.code, error.message, request_id)
