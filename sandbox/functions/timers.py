"""Changes provisioned concurrency at set times, and checks the timers."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from sandbox.cron import Cron
from sandbox.errors import (
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    RequestError,
    SandboxError,
)
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.errors import Code
    from sandbox.functions.model import TimedProvision
    from sandbox.functions.registry import FunctionRegistry, Key
    from sandbox.scheduler import Scheduler

log = structlog.get_logger()

#: Our own limit: the platform does not document its own.
TIMERS_MAX = 10
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")

cron_of = lru_cache(256)(Cron)


class TimerKey(NamedTuple):
    """Names one timer: the timer's function, the version of it, the timer's own name."""

    function: Key
    version: str
    name: str


class Provisioner(Protocol):
    """Sets the number of provisioned instances."""

    async def provision_timed(self, key: Key, version: str, count: int) -> None:
        """Keep ``count`` instances of a version initialised. Raises ``SandboxError``."""
        ...


def check_timers(timers: Sequence[TimedProvision]) -> None:
    """Check the timers of a version.

    ``InvalidParameterValue.{TriggerCronConfig,TriggerProvisionedConcurrencyNum}``,
    ``InvalidParameterValue.ProvisionTrigger{Name,NameDuplicate,CronConfigDuplicate}``,
    ``LimitExceeded.ProvisionTriggerAction``.
    """
    if len(timers) > TIMERS_MAX:
        raise LimitError(
            f"TriggerActions has {len(timers)} items: {TIMERS_MAX} are the limit",
            LimitExceeded.PROVISION_TRIGGER_ACTION,
        )
    for timer in timers:
        if not _NAME.fullmatch(timer.name):
            raise _refused(
                InvalidParameterValue.PROVISION_TRIGGER_NAME,
                f"TriggerName {timer.name[:80]!r} is not valid: use 1 to 60 letters, digits, - and"
                " _, starting with a letter",
            )
        if timer.count < 0:
            raise _refused(
                InvalidParameterValue.TRIGGER_PROVISIONED_CONCURRENCY_NUM,
                f"TriggerProvisionedConcurrencyNum is {timer.count}: send 0 or more",
            )
        Cron(timer.cron)
    if len({timer.name for timer in timers}) < len(timers):
        raise _refused(
            InvalidParameterValue.PROVISION_TRIGGER_NAME_DUPLICATE,
            "two TriggerActions have the same name",
        )
    if len({" ".join(timer.cron.split()) for timer in timers}) < len(timers):
        raise _refused(
            InvalidParameterValue.PROVISION_TRIGGER_CRON_CONFIG_DUPLICATE,
            "two TriggerActions have the same time",
        )


class ProvisionTimers:
    """Makes every timed change once, when it is due. Owned by the catalog.

    Each timer is a job of the scheduler, so a change that falls due while the sandbox is stopped is
    left out. Those that come up together are made one after the other, by their times.
    """

    def __init__(
        self, registry: FunctionRegistry, provisioner: Provisioner, scheduler: Scheduler
    ) -> None:
        """The timers are those of the functions in ``registry``."""
        self._registry = registry
        self._provisioner = provisioner
        self._scheduler = scheduler
        self._timers: dict[TimerKey, TimedProvision] = {}
        self._turn = asyncio.Lock()
        self._tasks = TaskOwner()

    def open(self) -> None:
        """Begin to do what the timers say."""
        self._tasks.start(self._run())

    async def close(self) -> None:
        """Stop. The scheduler's owner ends a change under way."""
        await self._tasks.cancel()
        for timer_key in self._timers:
            self._scheduler.remove(timer_key)
        self._timers.clear()

    async def _run(self) -> None:
        while True:
            self._schedule()
            await self._registry.changed()

    def _schedule(self) -> None:
        """Have as jobs what the functions have as timers."""
        timers = {
            TimerKey(function.key, version, timer.name): timer
            for function in self._registry.all()
            for version, timed in function.provision_timers.items()
            for timer in timed
        }
        for timer_key in self._timers.keys() - timers.keys():
            self._scheduler.remove(timer_key)
        for timer_key, timer in timers.items():
            if timer != self._timers.get(timer_key):
                action = partial(self._fire, timer_key, timer)
                self._scheduler.set(timer_key, cron_of(timer.cron), action)
        self._timers = timers

    async def _fire(self, timer_key: TimerKey, timer: TimedProvision) -> None:
        name = {
            "function": timer_key.function[1],
            "version": timer_key.version,
            "timer": timer.name,
        }
        async with self._turn:
            if self._timers.get(timer_key) != timer:
                return  # it was changed or taken away while others had their turn
            try:
                await self._provisioner.provision_timed(
                    timer_key.function, timer_key.version, timer.count
                )
            except SandboxError as error:
                log.warning("provision_timer_failed", **name, reason=error.message)
            else:
                log.info("provision_timer_fired", **name, instances=timer.count)


def _refused(code: Code, message: str) -> RequestError:
    return RequestError(message, code)
