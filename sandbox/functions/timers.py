"""Changes provisioned concurrency at set times, and checks the timers."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

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

    from sandbox.clock import Clock
    from sandbox.errors import Code
    from sandbox.functions.model import TimedProvision
    from sandbox.functions.registry import FunctionRegistry, Key

log = structlog.get_logger()

#: Our own limit: the platform does not document its own.
TIMERS_MAX = 10
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
#: The clock is read at least this often, seconds: it may be set meanwhile.
LOOK_EVERY_S = 60.0

cron_of = lru_cache(256)(Cron)


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

    A change that falls due while the sandbox is stopped is left out.
    """

    def __init__(self, registry: FunctionRegistry, provisioner: Provisioner, clock: Clock) -> None:
        """The timers are those of the functions in ``registry``."""
        self._registry = registry
        self._provisioner = provisioner
        self._clock = clock
        self._tasks = TaskOwner()

    def open(self) -> None:
        """Start to watch the clock."""
        self._tasks.start(self._run())

    async def close(self) -> None:
        """Stop; a change under way is given up."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        seen = self._clock.now()
        while True:
            now = self._clock.now()
            due, next_at = self._due(seen, now)
            seen = now
            for key, version, timer in due:
                await self._fire(key, version, timer)
            if due:
                continue  # functions may have changed meanwhile
            wait_s = LOOK_EVERY_S if next_at is None else next_at - self._clock.now()
            try:
                async with asyncio.timeout(min(max(wait_s, 0.0), LOOK_EVERY_S)):
                    await self._registry.changed()
            except TimeoutError:
                pass

    def _due(
        self, seen: float, now: float
    ) -> tuple[list[tuple[Key, str, TimedProvision]], float | None]:
        """The timers that fell due from ``seen`` to ``now``, by time; and the next time after."""
        due: list[tuple[float, Key, str, TimedProvision]] = []
        coming: list[float] = []
        for function in self._registry.all():
            for version, timers in function.provision_timers.items():
                for timer in timers:
                    cron = cron_of(timer.cron)
                    at = cron.next_after(seen)
                    if at is not None and at <= now:
                        due.append((at, function.key, version, timer))
                        at = cron.next_after(now)
                    if at is not None:
                        coming.append(at)
        due.sort(key=lambda item: item[0])
        return [item[1:] for item in due], min(coming, default=None)

    async def _fire(self, key: Key, version: str, timer: TimedProvision) -> None:
        name = {"function": key[1], "version": version, "timer": timer.name}
        try:
            await self._provisioner.provision_timed(key, version, timer.count)
        except SandboxError as error:
            log.warning("provision_timer_failed", **name, reason=error.message)
        except Exception:  # a task's boundary: the other timers go on
            log.exception("provision_timer_failed", **name)
        else:
            log.info("provision_timer_fired", **name, instances=timer.count)


def _refused(code: Code, message: str) -> RequestError:
    return RequestError(message, code)
