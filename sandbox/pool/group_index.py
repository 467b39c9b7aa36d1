"""Finds the group of an event and the group of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.functions.model import instance_key
from sandbox.pool.instance_group import InstanceGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.functions.model import Function, FunctionVersion
    from sandbox.instance.instance import Instance

#: Namespace, function and version.
VersionKey = tuple[str, str, str]


class GroupIndex:
    """All groups of instances, shared by the pool and its scaler. A retired group is kept until it
    is empty."""

    def __init__(self) -> None:
        """There are no groups yet."""
        self.group_of: dict[Instance, InstanceGroup] = {}
        self._current: dict[str, InstanceGroup] = {}
        self._retired: set[InstanceGroup] = set()
        self._by_version: dict[VersionKey, tuple[Function, InstanceGroup]] = {}

    def __iter__(self) -> Iterator[InstanceGroup]:
        """Every group, the retired ones last."""
        return iter((*self._current.values(), *self._retired))

    def current(self) -> tuple[InstanceGroup, ...]:
        """The groups that new events go to."""
        return tuple(self._current.values())

    def of(self, function: Function, version: FunctionVersion) -> InstanceGroup:
        """The group that events of a version go to now. It is made on the first request."""
        version_key = (function.namespace, function.name, version.version)
        known = self._by_version.get(version_key)
        if known is not None and known[0] is function and not known[1].retired:
            return known[1]
        key = instance_key(function, version)
        group = self._current.get(key)
        if group is None:
            group = self._current[key] = InstanceGroup(key, function, version)
        self._by_version[version_key] = (function, group)
        return group

    def at(self, namespace: str, name: str, version: str) -> InstanceGroup | None:
        """The group that events of a version went to last."""
        known = self._by_version.get((namespace, name, version))
        return None if known is None else known[1]

    def retire(self, group: InstanceGroup) -> None:
        """Send new events elsewhere from now on."""
        group.retired = True
        self._retired.add(group)
        del self._current[group.key]
        self.forget_if_empty(group)

    def forget_if_empty(self, group: InstanceGroup) -> None:
        """Drop a retired group that has neither instances nor waiting events."""
        if group in self._retired and not group.instances and not group.waiting:
            self._retired.discard(group)
            version_key = (*group.function.key, group.version.version)
            if version_key in self._by_version and self._by_version[version_key][1] is group:
                del self._by_version[version_key]
