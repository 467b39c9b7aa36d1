"""Which instances there are: new ones for who waits, some standing by, some provisioned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sandbox.group import evictable
from sandbox.instance.lifecycle import State
from sandbox.status import StatusCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from sandbox.admission import MemoryBudget
    from sandbox.group import Group
    from sandbox.groups import Groups
    from sandbox.settings import Settings

log = structlog.get_logger()

#: Provisioned instances that fail are tried again after 1 s, then after twice as long each time.
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0


class Supply:
    """Decides which instances are started, and which end for want of memory. Decides only: it
    never waits, and ``start`` (the pool's) starts in the background."""

    def __init__(
        self,
        groups: Groups,
        budget: MemoryBudget,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        start: Callable[[Group], None],
    ) -> None:
        self.hungry = False
        self._groups = groups
        self._budget = budget
        self._settings = settings
        self._loop = loop
        self._start = start
        self._later: dict[Group, asyncio.TimerHandle] = {}
        #: Groups that have fewer instances than they should for want of memory.
        self._short: set[Group] = set()
        self._closed = False

    def close(self) -> None:
        """Start nothing by itself any more."""
        self._closed = True
        for later in self._later.values():
            later.cancel()

    def grow(self, group: Group) -> None:
        """Start as many instances as invocations are waiting, as far as memory goes."""
        while group.starting < len(group.waiting):
            if not self._reserve(group):
                return
            self._start(group)

    def replenish(self, group: Group) -> None:
        """Have provisioned instances initialised, evicting others if need be; have others stand by
        again, out of memory that nobody else uses."""
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
                    self._short.add(group)
                    return
            elif not self._budget.reserve(group.memory_mb):
                self._short.add(group)
                return
            self._start(group)

    def replenish_later(self, group: Group, delay_s: float) -> None:
        if group not in self._later:
            self._later[group] = self._loop.call_later(delay_s, self.replenish, group)

    def provision(self, group: Group, count: int) -> None:
        """Have ``count`` instances initialised from now on."""
        if group.provisioned != count:
            group.provisioned, group.failure, group.retry_s = count, "", 0.0
            self.replenish(group)
            if self.hungry:
                self.pump()  # fewer of them: what is idle may go now

    def not_provisioned(self, group: Group, reason: str) -> None:
        """An instance failed that was to be initialised: another one later, each time after a
        longer while."""
        if self._closed or not group.lacking:
            return
        group.failure = reason
        log.warning("instance_not_provisioned", function=group.function.name, reason=reason)
        group.retry_s = min(2 * group.retry_s or RETRY_FIRST_S, RETRY_MAX_S)
        self.replenish_later(group, group.retry_s)

    def pump(self) -> None:
        """Memory has become free: start what is waiting, the longest-waiting first; then what is
        provisioned, and what should stand by."""
        self.hungry = False
        waiting = [group for group in self._groups if group.waiting]
        for group in sorted(waiting, key=lambda g: g.waiting[0].times["received"]):
            self.grow(group)
        short, self._short = self._short, set()
        wanting = {group: group.lacking for group in self._groups.current() if group.provisioned}
        for group in [*(g for g in wanting if wanting[g]), *(g for g in short if g not in wanting)]:
            if group not in self._later:
                self.replenish(group)

    def _reserve(self, group: Group) -> bool:
        """Reserve memory for one more instance, evicting others' idle ones if need be."""
        if self._budget.reserve(group.memory_mb):
            return True
        if group.memory_mb > self._budget.total_mb:
            message = (
                f"Function [ {group.function.name} ] concurrency exceeded region unreserved quota"
                f" {self._budget.total_mb} MB: it asks for {group.memory_mb} MB; raise"
                " SCF_MEMORY_BUDGET_MB or lower its MemorySize"
            )
            while group.waiting:
                group.waiting.popleft().refuse(StatusCode.RESOURCE_LIMIT_REACHED, message)
        else:
            message = (
                f"all instances together are at their limit of {self._budget.total_mb} MB: raise"
                " SCF_MEMORY_BUDGET_MB, or wait until others have ended"
            )
            self.hungry = True
            self._evict(group)
        if group.lacking:
            group.failure = message
        return False  # the evicted ones' memory is free once they are gone: see Pool._remove

    def _evict(self, group: Group) -> None:
        """Stop instances of others that may go until it suffices."""
        stopping = (i for i in self._groups.group_of if i.state is State.STOPPING)
        missing = group.memory_mb * (group.lacking - group.unclaimed)
        missing -= self._budget.free_mb + sum(instance.spec.memory_mb for instance in stopping)
        for victim in evictable(other for other in self._groups.current() if other is not group):
            if missing <= 0:
                return
            missing -= victim.spec.memory_mb
            victim.stop()
