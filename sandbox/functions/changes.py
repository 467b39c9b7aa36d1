"""The changes of a function: pure steps from one record to the next."""

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

    from sandbox.errors import Code
    from sandbox.functions.model import DeadLetterQueue, FunctionConfig, LayerRef
    from sandbox.packages.model import CodeRef

FAILED = {
    FunctionStatus.CREATING: FunctionStatus.CREATE_FAILED,
    FunctionStatus.UPDATING: FunctionStatus.UPDATE_FAILED,
    FunctionStatus.PUBLISHING: FunctionStatus.PUBLISH_FAILED,
}


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """An update of the configuration. None leaves a field as it is.

    An empty ``environment`` or ``layers`` clears it. The items of ``kept`` replace those of the
    same name; the others stay.
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
    traced: bool | None = None
    dead_letter: DeadLetterQueue | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, config: FunctionConfig) -> FunctionConfig:
        """``config`` with this update made. It is not checked."""
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
            "traced": self.traced,
            "dead_letter": self.dead_letter,
            "kept": {**config.kept, **self.kept} if self.kept else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        return config.model_copy(update=given)


def require_settled(function: Function, code: Code) -> None:
    """``ConflictError`` with ``code`` while ``$LATEST`` is created, updated or deleted."""
    status = function.latest.status
    if status in TRANSITIONAL:
        raise ConflictError(
            f"function {function.name} is {status}: wait until its Status is Active, then try"
            " again",
            code,
        )


def require_room_for_version(function: Function, code: Code) -> None:
    """``LimitError`` with ``code`` if the function has as many versions as it may have."""
    if len(function.versions) > limits.VERSIONS_PER_FUNCTION:
        raise LimitError(
            f"function {function.name} has {limits.VERSIONS_PER_FUNCTION} published versions, which"
            " is the limit: delete one first",
            code,
        )


def new_function(
    namespace: str, name: str, config: FunctionConfig, now: float, code: CodeRef | None = None
) -> Function:
    """A new function, with a new id. It is Creating."""
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
    """``lam-`` and eight lower-case letters or digits: the platform's form."""
    alphabet = string.ascii_lowercase + string.digits
    return "lam-" + "".join(secrets.choice(alphabet) for _ in range(8))


def begun(function: Function, wanted: Candidate, now: float) -> Function:
    """``function`` with an update of ``$LATEST`` begun: it is Updating.

    If the update leaves instances as they are, nothing has to be prepared: it is Active at once.
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
    """``function`` with a copy of ``$LATEST`` as its next version, which is Publishing.

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
    """``version`` after its candidate was made ready: it is Active, and the candidate serves."""
    done = {"status": FunctionStatus.ACTIVE, "status_reasons": (), "serving": True}
    return promoted(version).model_copy(update=done)


def failed(version: FunctionVersion, reason: StatusReason) -> FunctionVersion:
    """``version`` after its candidate failed: the candidate is gone, and what served still does."""
    status = FAILED[version.status]
    return version.model_copy(
        update={"status": status, "status_reasons": (reason,), "candidate": None}
    )
