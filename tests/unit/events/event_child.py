"""A control plane's queue in a process of its own, which kills itself. Run by a test.

``event_child.py DIRECTORY STAGE COUNT``: accepts ``COUNT`` events, prints their ids, and is gone at
once (``accepted``), while it runs them (``running``), after it ran them and before it stored that
(``ran``), or once it has stored that the first one failed (``deferred``).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.clock import SystemClock, new_request_id
from sandbox.events.model import Phase
from sandbox.events.queue import EventQueue
from sandbox.feed import Feed, Recorder
from sandbox.invocation import Cause, Invocation, InvokeOptions, Outcome
from sandbox.settings import Settings
from sandbox.status import StatusCode
from sandbox.store.database import migrate, open_database
from sandbox.store.events import SqlEventRepository
from tests.support.functions import FakeFunctions, function
from tests.support.records import Kept
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion


def die() -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


class Runner:
    """Runs any number of events at once, up to the stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.running = 0

    def can_begin(self, _function: Function, _version: FunctionVersion) -> bool:
        return self.stage != "accepted"

    def begin(
        self,
        of: Function,
        version: FunctionVersion,
        event: bytes,
        options: InvokeOptions,
        patience_s: float,
    ) -> Invocation:
        self.running += 1
        loop = asyncio.get_running_loop()
        return Invocation(of, version, event, options.request_id, loop)

    async def outcome(self, invocation: Invocation) -> Outcome:
        if self.stage == "ran":
            return Outcome(invocation.request_id, 200, b"done")
        if self.stage == "deferred":
            return Outcome(invocation.request_id, StatusCode.USER_CODE_EXCEPTION, b"broken")
        return await invocation.future

    def cancel(self, invocation: Invocation, cause: Cause, message: str) -> None: ...

    def signal(self, _invocation: Invocation) -> bool:
        return False


async def main(directory: Path, stage: str, count: int) -> None:
    database = open_database(f"sqlite:///{directory / 'scf.db'}")
    migrate(database)
    repository = SqlEventRepository(database)
    functions = FakeFunctions()
    hello = functions.put(function())
    runner = Runner(stage)
    loop = asyncio.get_running_loop()
    recorder = Recorder(Kept(), Feed())
    queue = EventQueue(repository, functions, SystemClock(), loop, Settings(), recorder)
    await queue.open(runner)

    async def accept(number: int) -> None:
        options = InvokeOptions(new_request_id(), invocation_type="Event")
        await queue.accept(hello, hello.latest, b"%d" % number, options)
        print("accepted", options.request_id, number, flush=True)

    if stage == "ran":
        # What is stored from here on is what became of events.
        apply = repository.apply

        def die_or_apply(changes: list[object]) -> None:
            if any(getattr(change, "settle", None) is not None for change in changes):
                die()
            apply(changes)  # type: ignore[arg-type]

        queue._commits._write = die_or_apply  # type: ignore[assignment]
    await asyncio.gather(*(accept(number) for number in range(count)))
    if stage == "running":
        await eventually(lambda: runner.running == count)
    if stage == "deferred":
        await eventually(lambda: all(e.phase is Phase.WAITING for e in queue._events.values()))
    if stage == "ran":
        await asyncio.Event().wait()
    die()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
