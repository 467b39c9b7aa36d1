"""The background work after a change: prepares new code, ends old instances."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import InternalError, NotFoundError, SandboxError
from sandbox.functions.changes import FAILED, failed, published, succeeded
from sandbox.functions.model import LATEST, StatusReason, instance_keys
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.clock import Clock
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.functions.ports import ProvisionHost
    from sandbox.functions.registry import FunctionRegistry, Key
    from sandbox.packages.keeper import CodeKeeper

log = structlog.get_logger()


class Rollout:
    """Owns the background work of the function service. A step never fails: it ends in a status.

    Steps of one function may overlap, for example when it is deleted and created again while a
    first step prepares it. Each step looks at its end whether the function is still the same.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        code: CodeKeeper,
        host: ProvisionHost,
        clock: Clock,
        save_again_s: float,
    ) -> None:
        """A result that cannot be saved is saved again every ``save_again_s`` seconds."""
        self._registry = registry
        self._code = code
        self._host = host
        self._clock = clock
        self._save_again_s = save_again_s
        self._tasks = TaskOwner()

    def bring_up(self, function: Function, name: str = LATEST) -> None:
        """Prepare a version that is Creating, Updating or Publishing; it ends Active or failed.

        Does nothing in another state. Called once for each change.
        """
        version = function.versions.get(name)
        if version is not None and version.status in FAILED:
            self._tasks.start(self._bring_up(function, name))

    def clear_away(self, function: Function) -> None:
        """End a deleted function's instances, then drop its packages."""
        self._tasks.start(self._clear_away(function))

    async def retire(self, key: Key) -> None:
        """End the instances that no longer fit the function; replace provisioned ones.

        The function may be changed, deleted or created again.
        """
        function = self._registry.find(*key)
        keep = frozenset[str]() if function is None else instance_keys(function)
        try:
            await self._host.retire(*key, keep)
        except SandboxError as error:
            log.error("instances_not_retired", function=key[1], error=str(error))
        if function is not None:
            self._host.provision(function)

    async def drain(self) -> None:
        """Wait until every step has ended."""
        await self._tasks.drain()

    async def close(self) -> None:
        """Stop all steps. The saved status says what is left to do."""
        await self._tasks.cancel()

    async def _bring_up(self, function: Function, name: str) -> None:
        asked = function.versions[name]
        then_publish = asked.candidate is not None and asked.candidate.publish
        with self._code.holding(function.digests):
            ready = succeeded(asked)
            reason = await self._prepare(function.with_version(ready), ready)

            def finish(now: Function) -> Function:
                version = now.versions.get(name)
                same = now.function_id == function.function_id
                if not same or version is None or version.status not in FAILED:
                    return now  # it was deleted meanwhile, and perhaps created again
                if reason is not None:
                    return now.with_version(failed(version, reason))
                served = now.with_version(succeeded(version))
                return published(served, self._clock.now()) if then_publish else served

            after = await self._save(function.key, finish)
            await self.retire(function.key)
        if after is not None and then_publish:
            self.bring_up(after, str(after.published))

    async def _prepare(self, function: Function, version: FunctionVersion) -> StatusReason | None:
        """Prepare a version. None when it is ready, else why it is not."""
        try:
            await self._host.prepare(function, version)
        except SandboxError as error:
            log.warning("function_not_prepared", function=function.name, error=str(error))
            return StatusReason(code=error.code, message=error.message)
        except Exception as error:  # a task's boundary: a bug must not leave it Creating for ever
            log.exception("function_not_prepared", function=function.name)
            return StatusReason(code=InternalError.SYSTEM, message=f"internal error: {error!r}")
        log.info("function_prepared", function=function.name, namespace=function.namespace)
        return None

    async def _save(self, key: Key, edit: Callable[[Function], Function]) -> Function | None:
        """Change the record, and try again until the store works. None if the function is gone."""
        while True:
            try:
                return await self._registry.change(key, edit)
            except NotFoundError:
                return None  # it was deleted meanwhile
            except Exception:  # a task's boundary: the step's result must not be lost
                log.exception("function_not_saved", namespace=key[0], function=key[1])
            await asyncio.sleep(self._save_again_s)

    async def _clear_away(self, function: Function) -> None:
        await self.retire(function.key)
        self._code.collect(function.digests)
