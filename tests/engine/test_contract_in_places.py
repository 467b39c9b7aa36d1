"""What every engine promises, where instances start into places, with disks where there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.engine.docker import places
from sandbox.engine.docker.engine import DockerEngine
from tests.engine.rigs import open_rig
from tests.engine.test_contract import *  # noqa: F403
from tests.engine.test_runtime_address import *  # noqa: F403
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine
PLACES = 1


@pytest.fixture
async def rig(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    """An engine whose places are ready."""
    for name in ("QUIET_S", "PAUSE_S"):
        monkeypatch.setattr(places, name, 0.05)
    async with open_rig("docker", tmp_path, installation, places=PLACES, tmp="auto") as rig:
        assert isinstance(rig.engine, DockerEngine)
        made = rig.engine.places
        await eventually(lambda: made.free == PLACES)
        yield rig
