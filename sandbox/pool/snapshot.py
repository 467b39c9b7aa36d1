"""One instance as plain data, at one moment: what the REST list and the metrics show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sandbox.instance.instance import Instance
    from sandbox.instance.lifecycle import State


class Transition(NamedTuple):
    """A state, and when the instance entered it: seconds since the epoch."""

    state: State
    at: float


@dataclass(frozen=True, slots=True)
class InstanceSnapshot:
    """What is told of an instance.

    ``instance_id`` is cut to 12 of its 32 hex digits, because the whole is the instance's secret.
    ``container_id`` is empty until the container has been started. ``memory_mb`` is the limit,
    ``memory_peak`` in bytes. ``served`` counts the invocations that ended here. ``request_id``
    names the invocation that it works on, or is empty. A ``retired`` instance ends after it.
    """

    instance_id: str
    container_id: str
    namespace: str
    function: str
    version: str
    state: State
    memory_mb: int
    memory_peak: int
    served: int
    request_id: str
    retired: bool
    transitions: tuple[Transition, ...]

    @classmethod
    def of(cls, instance: Instance, *, retired: bool) -> InstanceSnapshot:
        """Take one now."""
        spec, container, invocation = instance.spec, instance.container, instance.invocation
        return cls(
            instance_id=spec.instance_id[:12],
            container_id=container.container_id if container else "",
            namespace=spec.namespace,
            function=spec.function_name,
            version=spec.version,
            state=instance.state,
            memory_mb=spec.memory_mb,
            memory_peak=instance.memory_use.peak,
            served=instance.served,
            request_id=invocation.request_id if invocation else "",
            retired=retired,
            transitions=tuple(Transition(state, at) for state, at in instance.transitions),
        )
