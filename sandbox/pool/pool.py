"""Gives each event to an instance: a warm one, one standing by, or a new one.

An event for which there is none waits, and is refused in the end. Decisions never await. The
engine calls that follow from them run in tasks.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import EngineError, SandboxError
from sandbox.functions.quotas import Demand
from sandbox.instance.instance import Instance
from sandbox.instance.lifecycle import State
from sandbox.invocation import Cause
from sandbox.pool.endings import Endings
from sandbox.pool.group_index import GroupIndex
from sandbox.pool.scaler import Scaler
from sandbox.pool.snapshot import InstanceSnapshot
from sandbox.status import StatusCode
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.engine.base import Engine
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.instance.ports import InstanceContext
    from sandbox.invocation import Invocation
    from sandbox.packages.package import Package
    from sandbox.pool.instance_group import InstanceGroup
    from sandbox.pool.memory_budget import MemoryBudget
    from sandbox.settings import Settings

log = structlog.get_logger()

#: How often the pool looks at its instances. Seconds.
TICK_S = 0.1
#: How long an instance may be idle until its memory is not looked at any more. Seconds.
REST_AFTER_S = 1.0
#: A used standing-by instance is replaced after this pause: its cold start has the engine alone.
#: Seconds.
REPLACE_AFTER_S = 0.25
STOPPING = "the sandbox is stopping"


class Pool:
    """Owns every instance of the installation.

    The invoker submits invocations, and the engine starts what is missing. The runtime API finds
    instances by the name of their container (``by_host``) or by its address (``by_peer``).
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        context: InstanceContext,
        budget: MemoryBudget,
    ) -> None:
        """``context`` is handed on to every instance. A ticker runs until ``close``."""
        self.budget = budget
        self.by_host: dict[str, Instance] = {}
        self.by_peer: dict[str, Instance] = {}
        self._engine = engine
        self._settings = settings
        self._context = context
        self._loop = context.loop
        self._groups = GroupIndex()
        self._group_of = self._groups.group_of
        self._scaler = Scaler(self._groups, budget, settings, self._loop, self._start)
        self._tasks = TaskOwner()
        self._endings = Endings(self._loop)
        self._closed = False
        #: Called whenever ``has_room`` may have become true for some version. Not on the feed: it
        #: is for one, must come at once, and comes with every event.
        self.on_room: Callable[[], None] = lambda: None
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def submit(self, invocation: Invocation) -> None:
        """Give the event to an instance now, or as soon as there is one."""
        if self._closed:
            invocation.cancel(Cause.SHUTDOWN, STOPPING)
            return
        group = self._groups.of(invocation.function, invocation.version)
        group.last_used = self._loop.time()
        if group.with_room:
            group.dispatch(invocation)
        elif group.standby:
            self._release(group, group.standby.pop(), invocation)
        else:
            group.waiting.append(invocation)
            patience = self._loop.call_later(
                invocation.patience_s, self._give_up, group, invocation
            )
            invocation.watch(lambda: self._no_longer_waits(group, invocation, patience))
            self._scaler.grow(group)

    def has_room(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event can begin before another one ends. The event queue asks this.

        A function without any instance is let in. Its event waits for memory in its turn.
        """
        group = self._groups.of(function, version)
        if group.with_room or group.standby:
            return True
        if self.budget.free_mb < self.budget.share_mb(group.memory_mb) or self._scaler.wants_memory:
            return not group.instances and not group.waiting
        return len(group.waiting) <= group.starting < self._settings.start_parallelism

    def withdraw(self, invocation: Invocation) -> None:
        """Do not run an invocation that no instance has taken yet."""
        for group in self._groups:
            if self._leave(group, invocation):
                return

    @property
    def capacity_mb(self) -> int:
        """The memory that all instances may have together, in MB."""
        return self.budget.total_mb

    def demands(self, namespace: str) -> Iterator[Demand]:
        """The events under way in a namespace, for the quotas."""
        for group in self._groups:
            if group.function.namespace == namespace and (events := group.under_way):
                name = group.function.name
                yield Demand(name, group.version.version, group.memory_mb, events)

    def instances(self) -> list[InstanceSnapshot]:
        """Every instance as plain data, for the REST list and the metrics."""
        return [
            InstanceSnapshot.of(instance, retired=group.retired)
            for instance, group in self._group_of.items()
        ]

    def expect_code(self, digest: str) -> None:
        """A package with this digest is being checked (``Engine.expect``)."""
        self._engine.expect(digest)

    def take_code(self, package: Package) -> None:
        """An expected package is good (``Engine.take``)."""
        self._engine.take(package)

    async def prepare(self, function: Function, version: FunctionVersion) -> None:
        """Make the version's code ready on the engine, then let instances stand by."""
        assert version.code is not None
        await self._engine.prepare(version.code.digest, version.config.layer_digests)
        group = self._groups.of(function, version)
        group.last_used = self._loop.time()
        self._scaler.replenish(group)

    def provision(self, function: Function) -> None:
        """Keep as many instances of each version initialised as the function asks for."""
        for version in function.versions.values():
            count = function.provisioned.get(version.version, 0)
            if count or self._groups.at(*function.key, version.version) is not None:
                self._scaler.provision(self._groups.of(function, version), count)

    def provisioned(self, namespace: str, name: str, version: str) -> tuple[int, str]:
        """How many instances of a version are initialised, and why there are no more. The reason
        is empty where more are on their way."""
        group = self._groups.at(namespace, name, version)
        return (0, "") if group is None else (group.available, group.failure)

    async def retire(self, namespace: str, name: str, keep: frozenset[str]) -> None:
        """End the function's instances whose key is not in ``keep``. Busy ones finish first.

        An instance that is being initialised ahead ends too, unless an event waits for it.
        """
        for group in self._groups.current():
            if group.function.key == (namespace, name) and group.key not in keep:
                self._groups.retire(group)
                ahead = group.initialising_ahead[len(group.waiting) :]
                for instance in (*group.standby, *group.idle, *ahead):
                    instance.stop()

    async def kill(self, namespace: str, name: str, version: str) -> None:
        """End a version's instances now, the busy ones with their events. None is replaced."""
        message = f"version {version} of the function was deleted by force"
        for group in self._groups:
            if (*group.function.key, group.version.version) != (namespace, name, version):
                continue
            if not group.retired:
                self._groups.retire(group)
            while group.waiting:
                group.waiting.popleft().cancel(Cause.KILLED, message)
            for instance in list(group.instances):
                if instance.state is not State.STARTING:  # those stop when they have started
                    instance.cancel(Cause.KILLED, message)
            self._groups.forget_if_empty(group)

    async def forget_code(self, digest: str) -> None:
        """No function uses this package any more (``Engine.forget``)."""
        await self._engine.forget(digest)

    def instance_has_room(self, instance: Instance) -> None:
        """Give it what waits, else keep it for the next event. A retired group's instance ends."""
        group = self._group_of[instance]
        while group.waiting:
            invocation = group.waiting.popleft()
            if not invocation.over:
                instance.dispatch(invocation)
                if not instance.has_room:
                    return
        if group.retired or self._closed:
            if not instance.load:
                instance.stop()
            return
        group.with_room[instance] = self._loop.time()
        if self._scaler.wants_memory:
            self._scaler.start_waiting()
        self.on_room()

    def instance_stopping(self, instance: Instance) -> None:
        """Give it nothing any more, and destroy its container in a task."""
        group = self._group_of[instance]
        group.drop(instance)
        if instance.stood_by:
            self._scaler.replenish_later(group, REPLACE_AFTER_S)
        elif instance.failure:
            self._scaler.not_provisioned(group, instance.failure)
        self._endings.stopped()
        self._tasks.start(self._destroy(instance))

    def invocation_unserved(self, invocation: Invocation) -> None:
        """Give it to another instance."""
        self.submit(invocation)

    async def close(self) -> None:
        """End every instance. Invocations under way and events that come later are cancelled."""
        self._ticker.cancel()
        self.cancel_all()
        await self._tasks.drain()

    async def unoccupied(self) -> None:
        """Wait until no invocation runs or waits."""
        while any(group.under_way for group in self._groups):  # noqa: ASYNC110 - at the end alone
            await asyncio.sleep(TICK_S)

    def cancel_all(self) -> None:
        """End every instance, its invocations with 499, and every invocation that comes later."""
        self._closed = True
        self._endings.hurry()
        self._scaler.close()
        for group in self._groups:
            while group.waiting:
                group.waiting.popleft().cancel(Cause.SHUTDOWN, STOPPING)
        for instance in list(self._group_of):
            if instance.state is not State.STARTING:  # those stop when they have started
                instance.cancel(Cause.SHUTDOWN, STOPPING)

    def _release(self, group: InstanceGroup, instance: Instance, invocation: Invocation) -> None:
        instance.release(invocation)
        self._scaler.replenish_later(group, REPLACE_AFTER_S)

    def _start(self, group: InstanceGroup) -> None:
        group.starting += 1
        self._tasks.start(self._launch(group))

    async def _launch(self, group: InstanceGroup) -> None:
        spec, config = group.spec(self._settings), group.version.config
        instance = Instance(
            spec,
            timeout_s=config.timeout_s,
            init_timeout_s=config.init_timeout_s,
            owner=self,
            context=self._context,
            recycled_by_failure=config.async_run,
        )
        group.instances.add(instance)
        self._group_of[instance] = group
        try:
            await self._engine.prepare(spec.code_digest, spec.layers)
            instance.prepared_at = self._context.clock.now()
            container = await self._engine.launch(spec, instance)
            if instance.state is not State.STARTING:
                await container.destroy()
                raise EngineError(
                    "the container ended while it was starting: invoke the function again; if that"
                    " fails too, check the engine and read the sandbox's log"
                )
        except Exception as error:  # a task's boundary: any failure gives the memory back
            if isinstance(error, SandboxError):
                message = error.message
                log.error("instance_not_started", function=spec.function_name, error=message)
            else:
                message = f"internal error: {error!r}"
                log.exception("instance_not_started", function=spec.function_name)
            group.starting -= 1
            if instance.state is State.STARTING:  # else it tells by itself
                now = self._context.clock.now()
                self._context.recorder.instance_changed(spec, State.GONE, now, message)
            if group.waiting:
                group.waiting.popleft().refuse(StatusCode.INTERNAL_ERROR, message)
            elif group.lacking:
                self._scaler.not_provisioned(group, message)
            self._remove(instance)
            return
        group.starting -= 1
        self.by_host[container.runtime_host] = instance
        if container.peer is not None:
            self.by_peer[container.peer] = instance
        instance.attach(container)
        self._standing_by(group, instance)
        self.on_room()

    def _standing_by(self, group: InstanceGroup, instance: Instance) -> None:
        while group.waiting:
            invocation = group.waiting.popleft()
            if not invocation.over:
                self._release(group, instance, invocation)
                return
        if group.retired or self._closed:
            instance.stop()
        elif group.lacking:
            instance.release(None)
        else:
            group.standby.append(instance)
            if self._scaler.wants_memory:
                self._scaler.start_waiting()

    async def _destroy(self, instance: Instance) -> None:
        if instance.container is not None:
            self.by_host.pop(instance.container.runtime_host, None)
            if instance.container.peer is not None:
                self.by_peer.pop(instance.container.peer, None)
            await self._endings.end(instance.container)
        instance.removed()
        self._remove(instance)

    def _remove(self, instance: Instance) -> None:
        group = self._group_of.pop(instance, None)
        if group is None:
            return  # it ended while it started: the launch and the removal both come here
        group.instances.discard(instance)
        self.budget.give_back(instance.spec.memory_mb)
        self._groups.forget_if_empty(group)
        if not self._closed:
            self._scaler.start_waiting()
            self.on_room()

    def _no_longer_waits(
        self, group: InstanceGroup, invocation: Invocation, patience: asyncio.TimerHandle
    ) -> None:
        patience.cancel()
        self._leave(group, invocation)  # it still waits if its caller gave it up

    def _leave(self, group: InstanceGroup, invocation: Invocation) -> bool:
        """Take an invocation out of the queue, if it is there."""
        if invocation not in group.waiting:
            return False
        group.waiting.remove(invocation)
        self._groups.forget_if_empty(group)
        return True

    def _give_up(self, group: InstanceGroup, invocation: Invocation) -> None:
        if self._leave(group, invocation):
            message = (
                f"Function [ {group.function.name} ] concurrency exceeded region unreserved quota"
                f" {self.budget.total_mb} MB"
            )
            invocation.refuse(StatusCode.RESOURCE_LIMIT_REACHED, message)

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        now = self._loop.time()
        for instance in list(self._group_of):
            if instance.state is State.BUSY or instance.state is State.INITIALISING:
                instance.borders.look()
        for group in self._groups.current():
            for instance in group.spare:
                if now - group.with_room[instance] > self._settings.idle_timeout:
                    instance.stop()
            for instance in group.idle:
                if now - group.with_room[instance] > REST_AFTER_S:
                    instance.rest()
            if group.standby and now - group.last_used > self._settings.standby_ttl:
                for instance in list(group.standby):
                    instance.stop()
