"""What plain REST needs of the sandbox. The application passes it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from sandbox.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.metrics.metrics import Metrics
    from sandbox.clock import Clock
    from sandbox.engine.base import EngineInfo
    from sandbox.events.dead_letters import DeadLetters
    from sandbox.feed import Feed
    from sandbox.functions.catalog import Catalog
    from sandbox.functions.changes import ConfigChange
    from sandbox.functions.listing import Page, Query
    from sandbox.functions.model import Function, FunctionConfig, FunctionVersion
    from sandbox.invocation import InvokeOptions, Outcome
    from sandbox.pool.snapshot import InstanceSnapshot
    from sandbox.records.query import RecordQuery
    from sandbox.records.record import InvocationRecord
    from sandbox.settings import Settings


class Functions(Protocol):
    """The function service, as plain REST uses it. Errors are ``SandboxError``.

    ``sandbox.functions.service.FunctionService`` documents its methods.
    """

    async def create(
        self, namespace: str, name: str, data: bytes, config: FunctionConfig
    ) -> Function:
        """Check and save. The rest happens in the background."""
        ...

    def get(self, namespace: str, name: str) -> Function: ...

    def resolve(
        self, namespace: str, name: str, qualifier: str = ...
    ) -> tuple[Function, FunctionVersion]: ...

    def list(self, namespace: str = ..., query: Query = ...) -> Page: ...

    async def update_code(self, namespace: str, name: str, data: bytes) -> Function: ...

    async def update_config(self, namespace: str, name: str, change: ConfigChange) -> Function: ...

    async def delete(self, namespace: str, name: str) -> None: ...

    async def force_cold(self, namespace: str, name: str) -> Function: ...

    async def settled(self, namespace: str, name: str, within_s: float = ...) -> Function:
        """Wait until the function is neither Creating nor Updating, then return it."""
        ...


class Histories(Protocol):
    """The history, as plain REST uses it; ``sandbox.records.history.History`` documents it."""

    async def find(self, query: RecordQuery) -> tuple[int, list[InvocationRecord]]:
        """How many invocations match, and the requested page of them."""
        ...

    async def get(self, request_id: str) -> InvocationRecord | None: ...

    async def logs(self, records: list[InvocationRecord]) -> list[str]:
        """The whole logs of invocations, as the log query shows them."""
        ...

    async def lines(self, request_id: str) -> list[tuple[float, str]]:
        """The function's own lines: seconds since the epoch, and text."""
        ...

    async def lines_of(self, records: list[InvocationRecord]) -> dict[str, list[tuple[float, str]]]:
        """The same of several invocations, by request id."""
        ...


class Invoking(Protocol):
    """The invoker, as the APIs use it. An error means that the event reaches no function."""

    async def invoke(self, name: str, event: bytes, options: InvokeOptions) -> Outcome:
        """Run one event to its end."""
        ...

    async def invoke_async(self, name: str, event: bytes, options: InvokeOptions) -> None:
        """Accept one event to run later."""
        ...


class PoolView(Protocol):
    """The pool, as a list of its instances."""

    def instances(self) -> list[InstanceSnapshot]:
        """Every instance as plain data."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """The health of the control plane. ``engine`` is None until an engine has answered."""

    status: Literal["starting", "ok", "stopping"]
    engine: EngineInfo | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the REST routes call. Frozen; one per application."""

    functions: Functions
    invoker: Invoking
    history: Histories
    pool_view: PoolView
    settings: Settings
    health: Callable[[], Health]
    metrics: Metrics
    feed: Feed
    clock: Clock = field(default_factory=SystemClock)
    dead_letters: DeadLetters | None = None
    catalog: Catalog | None = None
