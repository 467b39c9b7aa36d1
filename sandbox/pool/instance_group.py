"""Groups the instances of one function, version, code and configuration."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

from sandbox.engine.base import InstanceSpec
from sandbox.instance.environment import instance_environment
from sandbox.instance.lifecycle import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.instance.instance import Instance
    from sandbox.invocation import Invocation
    from sandbox.settings import Settings

#: States of instances that have been initialised, and of those that are or are about to be.
READY = frozenset({State.IDLE, State.BUSY})
WARM = READY | {State.INITIALISING}


class InstanceGroup:
    """Where the pool keeps the instances and the waiting invocations of one instance key.

    ``with_room`` are the initialised instances that can take an invocation, each with the time of
    the event loop at which it got room. The last one is used first, so that the rest can expire.
    ``standby`` instances wait for their release. ``starting`` counts containers under way. A
    ``retired`` group serves what waits already and keeps nothing. ``provisioned`` is how many
    instances are kept initialised. ``failure`` says why the last attempt at that failed, and
    ``retry_s`` how many seconds the next one waits.
    """

    __slots__ = (
        "failure",
        "function",
        "instances",
        "key",
        "last_used",
        "provisioned",
        "retired",
        "retry_s",
        "standby",
        "starting",
        "version",
        "waiting",
        "with_room",
    )

    def __init__(self, key: str, function: Function, version: FunctionVersion) -> None:
        """``key`` hashes everything that shapes an instance (``instance_key``)."""
        self.key = key
        self.function = function
        self.version = version
        self.with_room: dict[Instance, float] = {}
        self.standby: list[Instance] = []
        self.starting = 0
        self.instances: set[Instance] = set()
        self.waiting: deque[Invocation] = deque()
        self.last_used = 0.0
        self.retired = False
        self.provisioned = 0
        self.failure = ""
        self.retry_s = 0.0

    @property
    def memory_mb(self) -> int:
        """The memory of each of its instances."""
        return self.version.config.memory_mb

    @property
    def lacking(self) -> int:
        """How many instances must still be initialised ahead."""
        return 0 if self.retired else max(0, self.provisioned - self._count(WARM))

    @property
    def available(self) -> int:
        """How many instances are initialised, busy or not."""
        return self._count(READY)

    @property
    def under_way(self) -> int:
        """How many invocations run or wait."""
        return len(self.waiting) + sum(instance.load for instance in self.instances)

    @property
    def spare(self) -> list[Instance]:
        """The idle instances above the provisioned number, those unused longest first."""
        return self.idle[: max(0, self._count(WARM) - self.provisioned)]

    @property
    def idle(self) -> list[Instance]:
        """The initialised instances that work on nothing, those idle longest first."""
        return [instance for instance in self.with_room if not instance.load]

    @property
    def initialising_ahead(self) -> list[Instance]:
        """The instances that are being initialised without an event."""
        return [
            instance
            for instance in self.instances
            if instance.state is State.INITIALISING and not instance.load
        ]

    @property
    def unclaimed(self) -> int:
        """How many started or starting instances nobody waits for."""
        return len(self.standby) + self.starting - len(self.waiting)

    def dispatch(self, invocation: Invocation) -> None:
        """Give an invocation to the instance that is to be used first."""
        instance, since = self.with_room.popitem()
        if instance.capacity > 1 and instance.load + 1 < instance.capacity:
            self.with_room[instance] = since
        instance.dispatch(invocation)

    def drop(self, instance: Instance) -> None:
        """Give this instance nothing any more."""
        self.with_room.pop(instance, None)
        if instance in self.standby:
            self.standby.remove(instance)

    def spec(self, settings: Settings) -> InstanceSpec:
        """What a new instance is started from."""
        function, version = self.function, self.version
        assert version.code is not None
        return InstanceSpec(
            instance_id=secrets.token_hex(16),
            namespace=function.namespace,
            function_name=function.name,
            version=version.version,
            code_digest=version.code.digest,
            memory_mb=self.memory_mb,
            environment=instance_environment(function, version, settings),
            layers=version.config.layer_digests,
        )

    def _count(self, states: frozenset[State]) -> int:
        return sum(instance.state in states for instance in self.instances)


def evictable(groups: Iterable[InstanceGroup]) -> list[Instance]:
    """The instances that may be stopped to make room for others, in this order: those standing by,
    of the group used longest ago first; then idle ones, unused longest first."""
    groups = sorted(groups, key=lambda group: group.last_used)
    standby = [instance for group in groups for instance in group.standby]
    idle = {instance: group.with_room[instance] for group in groups for instance in group.spare}
    return standby + sorted(idle, key=idle.__getitem__)
