"""An engine whose control groups cannot be seen: rootless, elsewhere, or of another layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.rigs import open_rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

MB = 1024 * 1024


@pytest.fixture
async def blind_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    async with open_rig("docker", tmp_path, installation, cgroup_root=tmp_path / "none") as rig:
        yield rig


async def test_memory_use_comes_from_the_engine_itself(blind_rig: Rig) -> None:
    container, watcher = await blind_rig.launch(
        "x=$(head -c 40000000 /dev/zero | tr '\\0' x); echo allocated; sleep 1000", memory_mb=512
    )
    container.release()
    await watcher.said("allocated")
    await eventually(lambda: 40 * 1000 * 1000 <= container.memory_peak() <= 512 * MB)
    await container.destroy()


async def test_a_bootstrap_over_its_memory_is_known_from_one_that_was_killed(
    blind_rig: Rig,
) -> None:
    hog, hog_said = await blind_rig.launch("exec tail /dev/zero", memory_mb=64)
    killed, killed_said = await blind_rig.launch("kill -9 $$")
    hog.release()
    killed.release()
    end = await hog_said.end()
    assert (end.code, end.oom_killed) == (137, True)
    end = await killed_said.end()
    assert (end.code, end.oom_killed) == (137, False)
    assert len(hog_said.exits) == len(killed_said.exits) == 1
    await hog.destroy()
    await killed.destroy()
