"""Makes functions at once, and finds them in a dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.errors import ConflictError, NotFoundError
from sandbox.functions.model import (
    DEPARTING,
    LATEST,
    EventInvokeConfig,
    Function,
    FunctionConfig,
    FunctionVersion,
)
from sandbox.packages.model import Bootstrap, CodeRef
from tests.support.clock import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_sandbox.preflight import Finding


def function(
    name: str = "hello",
    *,
    digest: str = "c0de",
    bootstrap: Bootstrap = Bootstrap.OK,
    instead: str = "",
    guesses: tuple[Finding, ...] = (),
    epoch: int = 0,
    **config: Any,
) -> Function:
    """An active function with one version. ``config`` has fields of FunctionConfig."""
    code = CodeRef(
        digest=digest,
        zip_bytes=1,
        unpacked_bytes=1,
        bootstrap=bootstrap,
        instead=instead,
        guesses=guesses,
    )
    version = FunctionVersion(
        config=FunctionConfig(**config), code=code, created_at=EPOCH, modified_at=EPOCH
    )
    return Function(
        name=name,
        function_id=f"lam-{name}",
        epoch=epoch,
        created_at=EPOCH,
        versions={LATEST: version},
    )


class FakeFunctions:
    """A ``FunctionLookup`` in a dictionary. It refuses every event with ``refusal``, if that is
    set."""

    def __init__(self, *functions: Function) -> None:
        self.by_key: dict[tuple[str, str], Function] = {}
        self.refusal: Exception | None = None
        for each in functions:
            self.put(each)

    def put(self, of: Function, **event_invoke: int) -> Function:
        """Add or replace a function. ``event_invoke`` has fields of EventInvokeConfig."""
        if event_invoke:
            of = of.model_copy(update={"event_invoke": EventInvokeConfig(**event_invoke)})
        self.by_key[of.key] = of
        return of

    def get(self, namespace: str, name: str) -> Function:
        if (namespace, name) not in self.by_key:
            raise NotFoundError(f"no function {name}", "ResourceNotFound.FunctionName")
        return self.by_key[namespace, name]

    def resolve(
        self,
        namespace: str,
        name: str,
        qualifier: str = LATEST,
        routing_key: Mapping[str, str] | None = None,
    ) -> tuple[Function, FunctionVersion]:
        of = self.get(namespace, name)
        if qualifier not in of.versions:
            raise NotFoundError(f"no version {qualifier}", "ResourceNotFound.Qualifier")
        return of, of.versions[qualifier]

    def require_invocable(self, version: FunctionVersion) -> None:
        if self.refusal is not None:
            raise self.refusal
        if version.status in DEPARTING:
            raise ConflictError("it is being deleted", "FailedOperation.FunctionStatusError")
