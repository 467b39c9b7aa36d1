"""Networks and volumes that the engine does not let go of at once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from docker.errors import APIError, NotFound
from structlog.testing import capture_logs

from sandbox.engine.docker.removal import remove
from sandbox.errors import EngineError


class Engine:
    """Refuses with these errors in turn, then removes."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.removed: list[str] = []

    async def run(self, call: Any, name: str) -> None:
        if self.errors:
            raise EngineError("the container engine refused") from self.errors.pop(0)
        self.removed.append(name)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.engine.docker.removal.AGAIN_S", (0, 0))


async def removed_by(engine: Engine) -> list[Any]:
    with capture_logs() as logs:
        await remove(cast("Any", engine), "network", print, "name")
    return logs


async def test_what_is_in_use_for_a_moment_is_removed_after_it() -> None:
    engine = Engine(APIError("in use"), APIError("in use"))
    assert await removed_by(engine) == []
    assert engine.removed == ["name"]


async def test_what_stays_is_told_of_once() -> None:
    engine = Engine(*[APIError("in use")] * 3)
    [entry] = await removed_by(engine)
    assert (entry["event"], entry["network"]) == ("network_not_removed", "name")
    assert engine.removed == []


async def test_what_is_gone_already_is_no_error() -> None:
    engine = Engine(NotFound("no such network"))
    assert await removed_by(engine) == []
    assert engine.removed == []
