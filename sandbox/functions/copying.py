"""Copies functions: ``$LATEST`` only, without versions, aliases and triggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import ConflictError, FailedOperation
from sandbox.functions import rules
from sandbox.functions.changes import new_function
from sandbox.functions.model import FunctionConfig
from sandbox.functions.registry import in_use

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.functions.model import Function
    from sandbox.functions.registry import Key
    from sandbox.functions.service import FunctionService


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How a function is copied.

    ``override`` replaces a function of the new name. Without ``configuration`` the copy has the
    platform's defaults for environment, memory, timeouts, layers, tags and so on.
    """

    description: str | None = None
    override: bool = False
    configuration: bool = True


async def copy_function(
    functions: FunctionService, clock: Clock, source: Key, target: Key, options: CopyOptions
) -> Function:
    """Make a function with the code that serves under another name. The copy is Creating.

    ``ResourceNotFound.{FunctionName,Namespace}``,
    ``InvalidParameterValue.{FunctionName,Description}``, ``ResourceInUse.FunctionName``,
    ``LimitExceeded.Function``, ``FailedOperation.CopyFailed`` when the original never served.
    """
    original = functions.get(*source)
    latest = original.latest
    functions.require_namespace(target[0])
    rules.check_names(*target)
    rules.check_description(options.description or "")
    if latest.code is None or not latest.invocable:
        raise ConflictError(
            f"function {original.name} is {latest.status}: only one that serves can be copied",
            FailedOperation.COPY_FAILED,
        )
    if source == target:
        raise in_use(*target)
    config = latest.config
    if not options.configuration:
        config = FunctionConfig(runtime=config.runtime, handler=config.handler, type=config.type)
    if options.description is not None:
        config = config.model_copy(update={"description": options.description})
    copy = new_function(*target, config, clock.now(), latest.code)
    if options.configuration:
        copy = copy.model_copy(update={"tags": original.tags, "kept": original.kept})
    return await functions.place(copy, override=options.override)
