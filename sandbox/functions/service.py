"""Creates, updates, deletes and finds functions."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from sandbox import limits
from sandbox.errors import (
    DryRunDone,
    FailedOperation,
    InvalidParameterValue,
    LimitExceeded,
    NotFoundError,
    ResourceNotFound,
)
from sandbox.functions import rules
from sandbox.functions.changes import (
    ConfigChange,
    begun,
    new_function,
    require_room_for_version,
    require_settled,
)
from sandbox.functions.lookup import FunctionFinder
from sandbox.functions.model import (
    DEFAULT_NAMESPACE,
    Candidate,
)
from sandbox.functions.registry import in_use
from sandbox.functions.rollout import Rollout
from sandbox.packages.keeper import CodeKeeper
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.clock import Clock
    from sandbox.functions.model import (
        EventInvokeConfig,
        Function,
        FunctionConfig,
        LayerRef,
    )
    from sandbox.functions.ports import ServiceHost
    from sandbox.functions.registry import FunctionRegistry, Key
    from sandbox.packages.package import PackageStore

#: A result that cannot be saved is saved again this often, seconds.
SAVE_AGAIN_S = 1.0


def _no_layer(ref: LayerRef) -> LayerRef:
    raise NotFoundError(f"there is no layer {ref.name}", ResourceNotFound.LAYER)


class FunctionService(FunctionFinder):
    """Changes and finds functions, for the APIs and the invoker. Errors carry the platform's codes.

    ``create`` and the updates return as soon as the change is saved. A background step (see
    ``Rollout``) then prepares it on the ``host``, and the status becomes Active or failed. ``open``
    resumes the steps that a crash interrupted. A change is completed even if its caller goes away.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        packages: PackageStore,
        host: ServiceHost,
        clock: Clock,
        *,
        functions_per_namespace: int = limits.FUNCTIONS_PER_NAMESPACE,
        namespace_exists: Callable[[str], bool] = lambda name: name == DEFAULT_NAMESPACE,
        bind_layer: Callable[[LayerRef], LayerRef] = _no_layer,
        layer_packages: Callable[[], frozenset[str]] = frozenset,
        draw: Callable[[], float] = random.random,
        save_again_s: float = SAVE_AGAIN_S,
    ) -> None:
        """``bind_layer`` fills in a layer's package or raises. ``layer_packages`` are the packages
        that layers need. ``draw`` gives random numbers from 0 up to 1 for shares of traffic."""
        super().__init__(registry, namespace_exists, draw)
        self._clock = clock
        self.code = CodeKeeper(packages, host, lambda: registry.digests() | layer_packages())
        self._functions_per_namespace = functions_per_namespace
        self._bind_layer = bind_layer
        self._host = host
        self.rollout = Rollout(registry, self.code, host, clock, save_again_s)
        self._tasks = TaskOwner()

    async def open(self) -> None:
        """Load all functions, resume what was interrupted, drop unused packages."""
        await self._registry.load()
        await self.code.sweep()
        for function in self._registry.all():
            self._host.provision(function)
            for version in function.versions:
                self.rollout.bring_up(function, version)

    async def close(self) -> None:
        """Stop the rollouts under way. The next start resumes them."""
        await self.code.close()
        await self._tasks.cancel()
        await self.rollout.close()
        await self._registry.close()

    # ------------------------------------------------------------------ changing

    async def create(
        self,
        namespace: str,
        name: str,
        data: bytes,
        config: FunctionConfig,
        *,
        tags: Mapping[str, str] | None = None,
        kept: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Function:
        """Make a function of a zip. It is saved, and Creating, when this returns.

        Errors: those of ``rules`` and ``package``, ``ResourceNotFound.{Namespace,Layer}``,
        ``ResourceInUse.FunctionName``, ``LimitExceeded.Function``. With ``dry_run`` it always
        raises: ``DryRunDone`` when nothing else is wrong.
        """
        rules.check_names(namespace, name)
        rules.check_config(config)
        self.require_namespace(namespace)

        async def create() -> Function:
            bound = self._bound(config)
            with self.code.holding(bound.layer_digests):
                if self._registry.find(namespace, name) is not None:
                    raise in_use(namespace, name)
                function = new_function(namespace, name, bound, self._clock.now())
                more = {"tags": dict(tags or {}), "kept": dict(kept or {})}
                return await self._create(function.model_copy(update=more), data, dry_run)

        return await self._tasks.finish(create())

    async def place(self, function: Function, *, override: bool = False) -> Function:
        """Save a new function whose packages are saved already, and prepare it.

        With ``override`` it replaces a function of the same name. Errors as in ``create``.
        """
        with self.code.holding(function.digests):  # at once, not from the task's first step on
            return await self._tasks.finish(self._place(function, override))

    async def update_code(
        self,
        namespace: str,
        name: str,
        data: bytes,
        change: ConfigChange | None = None,
        *,
        publish: bool = False,
        dry_run: bool = False,
    ) -> Function:
        """Replace the code of ``$LATEST``; the old code serves until the new one is ready.

        ``change`` is made with it. With ``publish`` it becomes a version once it is ready. Errors:
        those of ``package``, ``FailedOperation.UpdateFunctionCode`` while the function is created
        or updated. With ``dry_run`` it always raises, as ``create`` does.
        """
        code = FailedOperation.UPDATE_FUNCTION_CODE
        require_settled(self.get(namespace, name), code)
        change = change or ConfigChange()

        async def update() -> Function:
            async with self.code.admit(data, to_run=True) as ref:

                def wanted(function: Function) -> Candidate:
                    require_settled(function, code)
                    config = change.apply(function.latest.config)
                    rules.check_handler(config.handler)
                    rules.check_total_size(ref, config.layers, InvalidParameterValue.ZIP_FILE)
                    return Candidate(config=config, code=ref, publish=publish)

                return await self._update((namespace, name), wanted, dry_run)

        return await self._tasks.finish(update())

    async def update_config(
        self,
        namespace: str,
        name: str,
        change: ConfigChange,
        *,
        publish: bool = False,
        dry_run: bool = False,
    ) -> Function:
        """Change the configuration of ``$LATEST``; the old one serves until the new one is ready.

        Errors: those of ``rules``, ``ResourceNotFound.Layer``,
        ``FailedOperation.UpdateFunctionConfiguration`` while the function is created or updated.
        With ``dry_run`` it always raises, as ``create`` does.
        """

        async def update() -> Function:
            with ExitStack() as held:

                def wanted(function: Function) -> Candidate:
                    require_settled(function, FailedOperation.UPDATE_FUNCTION_CONFIGURATION)
                    config = change.apply(function.latest.config)
                    rules.check_config(config)
                    config, code = self._bound(config), function.latest.code
                    held.enter_context(self.code.holding(config.layer_digests))
                    if code is not None:
                        rules.check_total_size(code, config.layers)
                    return Candidate(config=config, code=code, publish=publish)

                return await self._update((namespace, name), wanted, dry_run)

        return await self._tasks.finish(update())

    async def update_event_invoke(
        self, namespace: str, name: str, config: EventInvokeConfig
    ) -> Function:
        """Change how asynchronous events are retried, from the next failure on.

        Errors: ``LimitExceeded.{RetryNum,MsgTTL}``, ``InvalidParameterValue.AsyncTriggerConfig``,
        ``FailedOperation.FunctionVersionStatusNotActive`` while the function is created or updated.
        """
        rules.check_event_invoke(config)

        def changed(function: Function) -> Function:
            require_settled(function, FailedOperation.FUNCTION_VERSION_STATUS_NOT_ACTIVE)
            return function.model_copy(update={"event_invoke": config})

        return await self._tasks.finish(self._registry.change((namespace, name), changed))

    async def delete(self, namespace: str, name: str) -> None:
        """Delete a function with all its versions, whatever its state.

        It is gone when this returns. Its instances end in the background, busy ones after their
        event. Then its packages are dropped, unless another function uses them.
        ``ResourceNotFound.FunctionName``.
        """
        await self._tasks.finish(self._delete((namespace, name)))

    async def force_cold(self, namespace: str, name: str) -> Function:
        """End all instances, so that the next invocation starts cold."""
        return await self._tasks.finish(self._force_cold((namespace, name)))

    # ------------------------------------------------------------------ inside

    async def _create(self, function: Function, data: bytes, dry_run: bool) -> Function:
        async with self.code.admit(data, to_run=True) as ref:
            rules.check_total_size(ref, function.latest.config.layers)
            if dry_run:
                self._registry.require_room(function.namespace, self._functions_per_namespace)
                raise DryRunDone
            function = function.with_version(function.latest.model_copy(update={"code": ref}))
            return await self._add(function)

    async def _add(self, function: Function) -> Function:
        await self._registry.add(
            function,
            self._functions_per_namespace,
            lambda: self.require_namespace(function.namespace),
        )
        self.rollout.bring_up(function)
        return function

    async def _place(self, function: Function, override: bool) -> Function:
        with self.code.holding(function.digests):
            if not override or self._registry.find(*function.key) is None:
                return await self._add(function)
            replaced: list[Function] = []

            def exchange(before: Function) -> Function:
                replaced.append(before)
                return function

            await self._registry.change(function.key, exchange)
            self.rollout.clear_away(replaced[0])
            self.rollout.bring_up(function)
            return function

    async def _update(
        self, key: Key, wanted: Callable[[Function], Candidate], dry_run: bool
    ) -> Function:
        def edit(before: Function) -> Function:
            candidate = wanted(before)
            if candidate.publish:
                require_room_for_version(before, LimitExceeded.GENERAL)
            if dry_run:
                raise DryRunDone
            return begun(before, candidate, self._clock.now())

        published = self._registry.get(*key).published
        function = await self._registry.change(key, edit)
        self.rollout.bring_up(function)
        if function.published > published:
            self.rollout.bring_up(function, str(function.published))
        return function

    async def _delete(self, key: Key) -> None:
        function = await self._registry.remove(key)
        self.rollout.clear_away(function)

    async def _force_cold(self, key: Key) -> Function:
        function = await self._registry.change(
            key, lambda before: before.model_copy(update={"epoch": before.epoch + 1})
        )
        await self.rollout.retire(key)
        return function

    def _bound(self, config: FunctionConfig) -> FunctionConfig:
        """``config`` with all its layers looked up. The caller holds their packages until the
        function is saved: nothing else keeps them."""
        layers = tuple(ref if ref.digest else self._bind_layer(ref) for ref in config.layers)
        return config.model_copy(update={"layers": layers})
