"""Updates of a function, as pure steps from one record to the next."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox import limits
from sandbox.errors import ConflictError, LimitError
from sandbox.functions.model import (
    LATEST,
    TRANSITIONAL,
    Candidate,
    Function,
    FunctionStatus,
    FunctionVersion,
    StatusReason,
    instance_key,
    promoted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.functions.model import FunctionConfig, LayerRef
    from sandbox.packages.model import CodeRef

FAILED = {
    FunctionStatus.CREATING: FunctionStatus.CREATE_FAILED,
    FunctionStatus.UPDATING: FunctionStatus.UPDATE_FAILED,
    FunctionStatus.PUBLISHING: FunctionStatus.PUBLISH_FAILED,
}


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What an update of the configuration gives; None leaves a field as it is.

    An empty ``environment`` or ``layers`` clears it. ``kept`` is merged over what is kept already.
    """

    runtime: str | None = None
    handler: str | None = None
    description: str | None = None
    memory_mb: int | None = None
    timeout_s: int | None = None
    init_timeout_s: int | None = None
    environment: Mapping[str, str] | None = None
    layers: tuple[LayerRef, ...] | None = None
    role: str | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, config: FunctionConfig) -> FunctionConfig:
        given: dict[str, Any] = {
            "runtime": self.runtime,
            "handler": self.handler,
            "description": self.description,
            "memory_mb": self.memory_mb,
            "timeout_s": self.timeout_s,
            "init_timeout_s": self.init_timeout_s,
            "environment": None if self.environment is None else dict(self.environment),
            "layers": self.layers,
            "role": self.role,
            "kept": {**config.kept, **self.kept} if self.kept else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        return config.model_copy(update=given)


def require_settled(function: Function, code: str) -> None:
    """Refuse, with error ``code``, to change a function that is being changed."""
    status = function.latest.status
    if status in TRANSITIONAL:
        raise ConflictError(
            f"function {function.name} is {status}: wait until its Status is Active, then try"
            " again",
            code,
        )


def require_room_for_version(function: Function, code: str) -> None:
    """Refuse, with error ``code``, to publish more versions than a function may have."""
    if len(function.versions) > limits.VERSIONS_PER_FUNCTION:
        raise LimitError(
            f"function {function.name} has {limits.VERSIONS_PER_FUNCTION} published versions, which"
            " is the limit: delete one first",
            code,
        )


def new_function(
    namespace: str, name: str, config: FunctionConfig, now: float, code: CodeRef | None = None
) -> Function:
    """A function that is Creating."""
    version = FunctionVersion(
        config=config,
        code=code,
        serving=False,
        status=FunctionStatus.CREATING,
        created_at=now,
        modified_at=now,
    )
    return Function(
        namespace=namespace,
        name=name,
        function_id=_new_function_id(),
        created_at=now,
        versions={LATEST: version},
    )


def _new_function_id() -> str:
    """``lam-`` and eight letters or digits, as the platform has them."""
    alphabet = string.ascii_lowercase + string.digits
    return "lam-" + "".join(secrets.choice(alphabet) for _ in range(8))


def begun(function: Function, wanted: Candidate, now: float) -> Function:
    """``function`` with an update of ``$LATEST`` under way.

    Nothing is left to prepare, and it is Active at once, when instances stay as they are.
    """
    version = function.latest
    candidate = version.model_copy(update={"candidate": wanted, "modified_at": now})
    applied = promoted(candidate)
    same = instance_key(function, applied) == instance_key(function, version)
    if same and version.serving and version.status is FunctionStatus.ACTIVE:
        changed = function.with_version(applied)
        return published(changed, now) if wanted.publish else changed
    updating = {"status": FunctionStatus.UPDATING, "status_reasons": ()}
    return function.with_version(candidate.model_copy(update=updating))


def published(function: Function, now: float, description: str | None = None) -> Function:
    """``function`` with what ``$LATEST`` is now frozen as its next version, which is Publishing.

    Without a ``description`` the version has that of ``$LATEST``.
    """
    latest, number = function.latest, function.published + 1
    config = latest.config
    if description is not None:
        config = config.model_copy(update={"description": description})
    version = FunctionVersion(
        version=str(number),
        config=config,
        code=latest.code,
        serving=False,
        status=FunctionStatus.PUBLISHING,
        created_at=now,
        modified_at=now,
    )
    return function.with_version(version).model_copy(update={"published": number})


def succeeded(version: FunctionVersion) -> FunctionVersion:
    """``version`` once what was asked for is ready to serve."""
    done = {"status": FunctionStatus.ACTIVE, "status_reasons": (), "serving": True}
    return promoted(version).model_copy(update=done)


def failed(version: FunctionVersion, reason: StatusReason) -> FunctionVersion:
    """``version`` once what was asked for turned out not to work: what served before still does."""
    status = FAILED[version.status]
    return version.model_copy(
        update={"status": status, "status_reasons": (reason,), "candidate": None}
    )
