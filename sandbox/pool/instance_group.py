"""The instances that are alike: same function, version, code and configuration."""

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

    ``idle`` is a stack: the one used last is used first, so that the rest can expire. ``retired``
    groups serve what is waiting already and keep nothing. ``provisioned`` instances are kept
    initialised; any of them will do. ``failure`` says why the last attempt at that failed, and
    ``retry_s`` how long the next one waits.
    """

    __slots__ = (
        "failure",
        "function",
        "idle",
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
    )

    def __init__(self, key: str, function: Function, version: FunctionVersion) -> None:
        self.key = key
        self.function = function
        self.version = version
        self.idle: list[Instance] = []
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
        return self.version.config.memory_mb

    @property
    def lacking(self) -> int:
        """How many instances are to be initialised ahead."""
        return 0 if self.retired else max(0, self.provisioned - self._count(WARM))

    @property
    def available(self) -> int:
        """How many instances are initialised, busy or not."""
        return self._count(READY)

    @property
    def under_way(self) -> int:
        """How many events run or wait."""
        return len(self.waiting) + sum(i.invocation is not None for i in self.instances)

    @property
    def spare(self) -> list[Instance]:
        """The idle instances that are not provisioned, those that were not used longest first."""
        return self.idle[: max(0, self._count(WARM) - self.provisioned)]

    @property
    def initialising_ahead(self) -> list[Instance]:
        """The instances that are being initialised without an event."""
        return [
            instance
            for instance in self.instances
            if instance.state is State.INITIALISING and instance.invocation is None
        ]

    @property
    def unclaimed(self) -> int:
        """How many started or starting instances nobody waits for."""
        return len(self.standby) + self.starting - len(self.waiting)

    def drop(self, instance: Instance) -> None:
        """Take an instance out of the lists from which events are given out."""
        if instance in self.idle:
            self.idle.remove(instance)
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
    """Instances that may go for others' sake, in the order in which they should: those standing
    by, of the group used longest ago first; then idle ones, oldest first."""
    groups = sorted(groups, key=lambda group: group.last_used)
    standby = [instance for group in groups for instance in group.standby]
    idle = [instance for group in groups for instance in group.spare]
    return standby + sorted(idle, key=lambda instance: instance.idle_since)
