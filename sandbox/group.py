"""The instances that are alike: same function, version, code and configuration."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.instance import Instance
    from sandbox.invocation import Invocation


class Group:
    """Where the pool keeps the instances and the waiting invocations of one instance key.

    ``idle`` is a stack: the one used last is used first, so that the rest can expire. ``retired``
    groups serve what is waiting already and keep nothing.
    """

    __slots__ = (
        "function",
        "idle",
        "instances",
        "key",
        "last_used",
        "retired",
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

    @property
    def memory_mb(self) -> int:
        return self.version.config.memory_mb

    def drop(self, instance: Instance) -> None:
        """Take an instance out of the lists from which events are given out."""
        if instance in self.idle:
            self.idle.remove(instance)
        if instance in self.standby:
            self.standby.remove(instance)

    def view(self, instance: Instance) -> dict[str, Any]:
        """One of the instances as plain data."""
        container = instance.container
        return {
            "instance_id": instance.spec.instance_id[:12],
            "container_id": container.container_id if container else "",
            "namespace": instance.spec.namespace,
            "function": instance.spec.function_name,
            "version": instance.spec.version,
            "state": instance.state.value,
            "memory_mb": instance.spec.memory_mb,
            "memory_peak": instance.memory_peak,
            "served": instance.served,
            "request_id": instance.invocation.request_id if instance.invocation else "",
            "retired": self.retired,
            "transitions": [{"state": s.value, "at": at} for s, at in instance.transitions],
        }
