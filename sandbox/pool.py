"""Which instance takes an event: a warm one, one standing by, a new one; else wait, or refuse.

Decisions are made without awaiting; what they call for (engine calls) is done in tasks after.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import structlog

from sandbox.engine.base import InstanceSpec
from sandbox.environment import instance_environment
from sandbox.errors import EngineError, SandboxError
from sandbox.functions.model import instance_key
from sandbox.group import Group
from sandbox.instance import Instance, Surroundings
from sandbox.lifecycle import State
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sandbox.admission import MemoryBudget
    from sandbox.engine.base import Engine
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.invocation import Invocation
    from sandbox.settings import Settings

log = structlog.get_logger()

#: How often expiry and memory are looked at, seconds.
TICK_S = 0.1
#: A used standing-by instance is replaced this long after, so as not to slow the cold start.
REPLACE_AFTER_S = 0.25


class Pool:
    """Owns every instance of the installation.

    The invoker submits invocations; the engine starts what is missing; the runtime API finds
    instances by the name or the address of their container.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        surroundings: Surroundings,
        budget: MemoryBudget,
    ) -> None:
        self.budget = budget
        self.cold_starts = 0
        self.by_host: dict[str, Instance] = {}
        self.by_peer: dict[str, Instance] = {}
        self._engine = engine
        self._settings = settings
        self._surroundings = surroundings
        self._loop = surroundings.loop
        self._groups: dict[str, Group] = {}
        self._keys: dict[tuple[str, str, str], tuple[Function, Group]] = {}
        self._group_of: dict[Instance, Group] = {}
        self._retired: set[Group] = set()
        self._replacements: dict[Group, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._hungry = False
        self._closed = False
        #: Called whenever ``has_room`` may have become true for some version.
        self.on_room: Callable[[], None] = _nobody
        self._ticker = self._loop.call_later(TICK_S, self._tick)

    def submit(self, invocation: Invocation) -> None:
        """Give the event to an instance now, or as soon as there is one."""
        group = self._group(invocation.function, invocation.version)
        group.last_used = self._loop.time()
        if group.idle:
            group.idle.pop().dispatch(invocation)
        elif group.standby:
            self._release(group, group.standby.pop(), invocation)
        else:
            group.waiting.append(invocation)
            patience = self._loop.call_later(
                invocation.patience_s, self._give_up, group, invocation
            )
            invocation.future.add_done_callback(
                lambda _: self._no_longer_waits(group, invocation, patience)
            )
            self._grow(group)

    def has_room(self, function: Function, version: FunctionVersion) -> bool:
        """Whether an event would not have to wait for another to end: what the queue asks.

        A function without any instance is let in: its event waits for memory in its turn.
        """
        group = self._group(function, version)
        if group.idle or group.standby:
            return True
        if self.budget.free_mb < group.memory_mb or self._hungry:
            return not group.instances and not group.waiting
        return len(group.waiting) <= group.starting < self._settings.start_parallelism

    def withdraw(self, invocation: Invocation) -> None:
        """An invocation that no instance has taken yet is not to be run any more."""
        for group in self._every_group():
            if self._leave(group, invocation):
                return

    def instances(self) -> list[dict[str, Any]]:
        """Every instance as plain data, for the REST list and the metrics."""
        return [group.view(instance) for instance, group in self._group_of.items()]

    async def prepare(self, function: Function, version: FunctionVersion) -> None:
        """Make the version's code ready on the engine, then let instances stand by."""
        assert version.code is not None
        await self._engine.prepare(version.code.digest, version.config.layer_digests)
        group = self._group(function, version)
        group.last_used = self._loop.time()
        self._replenish(group)

    async def retire(self, namespace: str, name: str, keep: frozenset[str]) -> None:
        """End the function's instances whose key is not kept; busy ones finish first."""
        for group in list(self._groups.values()):
            if group.function.key == (namespace, name) and group.key not in keep:
                group.retired = True
                self._retired.add(group)
                del self._groups[group.key]
                for instance in (*group.standby, *group.idle):
                    instance.stop()
                self._forget_if_empty(group)

    async def kill(self, namespace: str, name: str, version: str) -> None:
        """End a version's instances now, the busy ones with their events."""
        message = f"version {version} of the function was deleted by force"
        for group in self._every_group():
            if (*group.function.key, group.version.version) != (namespace, name, version):
                continue
            while group.waiting:
                group.waiting.popleft().refuse(StatusCode.CANCELED, message)
            for instance in list(group.instances):
                if instance.state is not State.STARTING:  # those stop when they have started
                    instance.cancel(StatusCode.CANCELED, message)

    async def forget_code(self, digest: str) -> None:
        await self._engine.forget(digest)

    def instance_idle(self, instance: Instance) -> None:
        group = self._group_of[instance]
        while group.waiting:
            invocation = group.waiting.popleft()
            if not invocation.future.done():
                instance.dispatch(invocation)
                return
        if group.retired or self._closed:
            instance.stop()
            return
        group.idle.append(instance)
        if self._hungry:
            self._pump()
        self.on_room()

    def instance_stopping(self, instance: Instance) -> None:
        self._group_of[instance].drop(instance)
        self._spawn(self._destroy(instance))

    def invocation_unserved(self, invocation: Invocation) -> None:
        self.submit(invocation)

    async def close(self) -> None:
        """End every instance; invocations still under way end as canceled."""
        self._closed = True
        self._ticker.cancel()
        for replacement in self._replacements.values():
            replacement.cancel()
        for group in self._every_group():
            while group.waiting:
                group.waiting.popleft().refuse(StatusCode.CANCELED, "the sandbox is stopping")
        for instance in list(self._group_of):
            if instance.state is not State.STARTING:  # those stop when they have started
                instance.cancel(StatusCode.CANCELED, "the sandbox is stopping")
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _every_group(self) -> tuple[Group, ...]:
        return (*self._groups.values(), *self._retired)

    def _group(self, function: Function, version: FunctionVersion) -> Group:
        place = (function.namespace, function.name, version.version)
        known = self._keys.get(place)
        if known is not None and known[0] is function and not known[1].retired:
            return known[1]
        key = instance_key(function, version)
        group = self._groups.get(key)
        if group is None:
            group = Group(key, function, version)
            self._groups[key] = group
        self._keys[place] = (function, group)
        return group

    def _release(self, group: Group, instance: Instance, invocation: Invocation) -> None:
        self.cold_starts += 1
        instance.release(invocation)
        if group not in self._replacements:
            later = self._loop.call_later(REPLACE_AFTER_S, self._replenish, group)
            self._replacements[group] = later

    def _grow(self, group: Group) -> None:
        """Start as many instances as invocations are waiting, as far as memory goes."""
        while group.starting < len(group.waiting):
            if not self._reserve(group):
                return
            self._start(group)

    def _replenish(self, group: Group) -> None:
        """Have instances stand by again, out of memory that nobody else uses."""
        self._replacements.pop(group, None)
        while (
            not self._closed
            and not group.retired
            and len(group.standby) + group.starting - len(group.waiting) < self._settings.standby
            and self.budget.reserve(group.memory_mb)
        ):
            self._start(group)

    def _reserve(self, group: Group) -> bool:
        """Reserve memory for one more instance, evicting others' idle ones if need be."""
        if self.budget.reserve(group.memory_mb):
            return True
        if group.memory_mb > self.budget.total_mb:
            message = (
                f"Function [ {group.function.name} ] concurrency exceeded region unreserved quota"
                f" {self.budget.total_mb} MB: it asks for {group.memory_mb} MB; raise"
                " SCF_MEMORY_BUDGET_MB or lower its MemorySize"
            )
            while group.waiting:
                group.waiting.popleft().refuse(StatusCode.RESOURCE_LIMIT_REACHED, message)
            return False
        self._hungry = True
        self._evict(group)
        return False  # the evicted ones' memory is free once they are gone: see _destroy

    def _evict(self, group: Group) -> None:
        """Stop standing-by instances of others, then idle ones, oldest first, until it suffices."""
        stopping = sum(i.spec.memory_mb for i in self._group_of if i.state is State.STOPPING)
        missing = group.memory_mb * (len(group.waiting) - group.starting)
        missing -= self.budget.free_mb + stopping
        others = [other for other in self._groups.values() if other is not group]
        victims = [i for other in others for i in other.standby]
        victims.sort(key=lambda i: self._group_of[i].last_used)
        victims += sorted((i for other in others for i in other.idle), key=lambda i: i.idle_since)
        for victim in victims:
            if missing <= 0:
                return
            missing -= victim.spec.memory_mb
            victim.stop()

    def _start(self, group: Group) -> None:
        group.starting += 1
        self._spawn(self._launch(group))

    async def _launch(self, group: Group) -> None:
        function, version = group.function, group.version
        config = version.config
        assert version.code is not None
        spec = InstanceSpec(
            instance_id=secrets.token_hex(16),
            namespace=function.namespace,
            function_name=function.name,
            version=version.version,
            code_digest=version.code.digest,
            memory_mb=config.memory_mb,
            environment=instance_environment(function, version, self._settings),
            layers=version.config.layer_digests,
        )
        instance = Instance(
            spec,
            timeout_s=config.timeout_s,
            init_timeout_s=config.init_timeout_s,
            owner=self,
            surroundings=self._surroundings,
            recycled_by_failure=config.async_run,
        )
        group.instances.add(instance)
        self._group_of[instance] = group
        try:
            await self._engine.prepare(spec.code_digest, spec.layers)
            instance.prepared_at = self._surroundings.clock.now()
            container = await self._engine.launch(spec, instance)
            if instance.state is not State.STARTING:
                await container.destroy()
                raise EngineError("the container ended as soon as it was started")
        except SandboxError as error:
            log.error("instance_not_started", function=function.name, error=error.message)
            group.starting -= 1
            if group.waiting:
                group.waiting.popleft().refuse(StatusCode.INTERNAL_ERROR, error.message)
            self._remove(instance)
            return
        group.starting -= 1
        self.by_host[container.runtime_host] = instance
        self.by_peer[container.peer] = instance
        instance.attach(container)
        self._standing_by(group, instance)
        self.on_room()

    def _standing_by(self, group: Group, instance: Instance) -> None:
        while group.waiting:
            invocation = group.waiting.popleft()
            if not invocation.future.done():
                self._release(group, instance, invocation)
                return
        if group.retired or self._closed:
            instance.stop()
            return
        group.standby.append(instance)
        if self._hungry:
            self._pump()

    async def _destroy(self, instance: Instance) -> None:
        if instance.container is not None:
            self.by_host.pop(instance.container.runtime_host, None)
            self.by_peer.pop(instance.container.peer, None)
            try:
                await instance.container.destroy()
            except SandboxError as error:
                log.error("instance_not_destroyed", error=error.message)
        instance.removed()
        self._remove(instance)

    def _remove(self, instance: Instance) -> None:
        group = self._group_of.pop(instance)
        group.instances.discard(instance)
        self.budget.give_back(instance.spec.memory_mb)
        self._forget_if_empty(group)
        if not self._closed:
            self._pump()
            self.on_room()

    def _pump(self) -> None:
        """Memory has become free: start what is waiting, the longest-waiting first."""
        self._hungry = False
        groups = [group for group in self._every_group() if group.waiting]
        for group in sorted(groups, key=lambda g: g.waiting[0].times["received"]):
            self._grow(group)

    def _no_longer_waits(
        self, group: Group, invocation: Invocation, patience: asyncio.TimerHandle
    ) -> None:
        patience.cancel()
        self._leave(group, invocation)  # it is still there when its caller went away

    def _leave(self, group: Group, invocation: Invocation) -> bool:
        """Take an invocation out of the queue, if it is there."""
        if invocation not in group.waiting:
            return False
        group.waiting.remove(invocation)
        self._forget_if_empty(group)
        return True

    def _give_up(self, group: Group, invocation: Invocation) -> None:
        if self._leave(group, invocation):
            message = (
                f"Function [ {group.function.name} ] concurrency exceeded region unreserved quota"
                f" {self.budget.total_mb} MB"
            )
            invocation.refuse(StatusCode.RESOURCE_LIMIT_REACHED, message)

    def _forget_if_empty(self, group: Group) -> None:
        if group in self._retired and not group.instances and not group.waiting:
            self._retired.discard(group)
            place = (*group.function.key, group.version.version)
            if place in self._keys and self._keys[place][1] is group:
                del self._keys[place]

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        now = self._loop.time()
        for instance in list(self._group_of):
            if instance.state is State.BUSY or instance.state is State.INITIALISING:
                instance.sample()
        for group in self._groups.values():
            for instance in [
                i for i in group.idle if now - i.idle_since > self._settings.idle_timeout
            ]:
                instance.stop()
            if group.standby and now - group.last_used > self._settings.standby_ttl:
                for instance in list(group.standby):
                    instance.stop()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nobody() -> None:
    """Nobody waits for room."""
