"""Queues opened for a test, and closed after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.unit.events.event_kit import QueueBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Make(Protocol):
    """Makes an open queue; all of a test are on one database."""

    async def __call__(self, budget_mb: int = 4096, **settings: Any) -> QueueBench: ...


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[QueueBench] = []

    async def make(budget_mb: int = 4096, **settings: Any) -> QueueBench:
        bench = await QueueBench(tmp_path, budget_mb, **settings).open()
        made.append(bench)
        return bench

    yield make
    for bench in made:
        await bench.close()
