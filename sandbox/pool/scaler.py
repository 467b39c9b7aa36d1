"""Decides how many instances each group has: for events, standby and provisioned concurrency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sandbox.instance.lifecycle import State
from sandbox.pool.instance_group import evictable
from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandbox.pool.group_index import GroupIndex
    from sandbox.pool.instance_group import InstanceGroup
    from sandbox.pool.memory_budget import MemoryBudget
    from sandbox.settings import Settings

log = structlog.get_logger()

#: A provisioned instance that failed is tried again after 1 s, then after twice as long each time.
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0


class Scaler:
    """Decides which instances start, and which end for want of memory.

    It never waits. ``start`` belongs to the pool, and starts an instance in the background.
    ``wants_memory`` is true while something waits for memory that others hold.
    """

    def __init__(
        self,
        groups: GroupIndex,
        budget: MemoryBudget,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        start: Callable[[InstanceGroup], None],
    ) -> None:
        """``start`` is called with memory reserved for one more instance of the group."""
        self.wants_memory = False
        self._groups = groups
        self._budget = budget
        self._settings = settings
        self._loop = loop
        self._start = start
        self._later: dict[InstanceGroup, asyncio.TimerHandle] = {}
        #: Groups that have fewer instances than they should, for want of memory.
        self._below_target: set[InstanceGroup] = set()
        self._closed = False

    def close(self) -> None:
        """Start nothing on its own any more."""
        self._closed = True
        for later in self._later.values():
            later.cancel()

    def grow(self, group: InstanceGroup) -> None:
        """Start an instance for each invocation that waits, as far as memory goes."""
        while group.starting < len(group.waiting):
            if not self._reserve(group):
                return
            self._start(group)

    def replenish(self, group: InstanceGroup) -> None:
        """Bring the group to its numbers of provisioned and standby instances.

        Provisioned instances may evict others. Standby instances take only free memory.
        """
        pending = self._later.pop(group, None)
        if pending is not None:
            pending.cancel()
        if self._closed or group.retired:
            return
        while group.standby and group.lacking:
            group.standby.pop().release(None)
        while (lacking := group.lacking) + self._settings.standby > group.unclaimed:
            if lacking > group.unclaimed:
                if not self._reserve(group):
                    self._below_target.add(group)
                    return
            elif not self._budget.reserve(group.memory_mb):
                self._below_target.add(group)
                return
            self._start(group)

    def replenish_later(self, group: InstanceGroup, delay_s: float) -> None:
        """``replenish`` after so many seconds, unless that is planned already."""
        if group not in self._later:
            self._later[group] = self._loop.call_later(delay_s, self.replenish, group)

    def provision(self, group: InstanceGroup, count: int) -> None:
        """Keep ``count`` instances initialised from now on."""
        if group.provisioned != count:
            group.provisioned, group.failure, group.retry_s = count, "", 0.0
            self.replenish(group)
            if self.wants_memory:
                self.start_waiting()  # fewer are provisioned, so idle ones can be evicted

    def not_provisioned(self, group: InstanceGroup, reason: str) -> None:
        """An instance failed that was initialised ahead. Try again later, after a pause that
        doubles each time."""
        if self._closed or not group.lacking:
            return
        group.failure = reason
        log.warning("instance_not_provisioned", function=group.function.name, reason=reason)
        group.retry_s = min(2 * group.retry_s or RETRY_FIRST_S, RETRY_MAX_S)
        self.replenish_later(group, group.retry_s)

    def start_waiting(self) -> None:
        """Use memory that has become free: for events, those that wait longest first; then for
        provisioned instances; then for standby."""
        self.wants_memory = False
        waiting = [group for group in self._groups if group.waiting]
        for group in sorted(waiting, key=lambda g: g.waiting[0].times["received"]):
            self.grow(group)
        below, self._below_target = self._below_target, set()
        wanting = {group: group.lacking for group in self._groups.current() if group.provisioned}
        for group in [*(g for g in wanting if wanting[g]), *(g for g in below if g not in wanting)]:
            if group not in self._later:
                self.replenish(group)

    def _reserve(self, group: InstanceGroup) -> bool:
        """Reserve memory for one more instance. False if there is none now; then idle instances of
        others are evicted, and their memory is free when they are gone (``Pool._remove``)."""
        if self._budget.reserve(group.memory_mb):
            return True
        share_mb = self._budget.share_mb(group.memory_mb)
        if share_mb > self._budget.total_mb:
            beside_mb = self._budget.beside_mb
            of_it = f" ({beside_mb} MB of it for files in /tmp)" if beside_mb else ""
            message = (
                f"Function [ {group.function.name} ] concurrency exceeded region unreserved quota"
                f" {self._budget.total_mb} MB: it asks for {share_mb} MB{of_it}; raise"
                " SCF_MEMORY_BUDGET_MB or lower its MemorySize"
            )
            while group.waiting:
                group.waiting.popleft().refuse(StatusCode.RESOURCE_LIMIT_REACHED, message)
        else:
            message = (
                f"all instances together are at their limit of {self._budget.total_mb} MB: raise"
                " SCF_MEMORY_BUDGET_MB, or wait until others have ended"
            )
            self.wants_memory = True
            self._evict(group)
        if group.lacking:
            group.failure = message
        return False

    def _evict(self, group: InstanceGroup) -> None:
        """Stop instances of others until their memory suffices."""
        stopping = (i for i in self._groups.group_of if i.state is State.STOPPING)
        share = self._budget.share_mb
        missing = share(group.memory_mb) * (group.lacking - group.unclaimed)
        missing -= self._budget.free_mb + sum(share(i.spec.memory_mb) for i in stopping)
        for victim in evictable(other for other in self._groups.current() if other is not group):
            if missing <= 0:
                return
            missing -= share(victim.spec.memory_mb)
            victim.stop()
