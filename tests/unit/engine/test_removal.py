"""Networks and volumes that the engine does not let go of at once."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from sandbox.engine.docker.removal import remove
from sandbox.errors import EngineError, EngineErrorKind

IN_USE = EngineError("in use", EngineErrorKind.IN_USE)
GONE = EngineError("no such network", EngineErrorKind.GONE)


class Engine:
    """Refuses with these errors in turn, then removes."""

    def __init__(self, *errors: EngineError) -> None:
        self.errors = list(errors)
        self.removed: list[str] = []

    async def remove_network(self, name: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.removed.append(name)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.engine.docker.removal.AGAIN_S", (0, 0))


async def removed_by(engine: Engine) -> list[Any]:
    with capture_logs() as logs:
        await remove("network", "name", engine.remove_network)
    return logs


async def test_what_is_in_use_for_a_moment_is_removed_after_it() -> None:
    engine = Engine(IN_USE, IN_USE)
    assert await removed_by(engine) == []
    assert engine.removed == ["name"]


async def test_what_stays_is_told_of_once() -> None:
    engine = Engine(IN_USE, IN_USE, IN_USE)
    [entry] = await removed_by(engine)
    assert (entry["event"], entry["network"]) == ("network_not_removed", "name")
    assert engine.removed == []


async def test_what_is_gone_already_is_no_error() -> None:
    engine = Engine(GONE)
    assert await removed_by(engine) == []
    assert engine.removed == []
