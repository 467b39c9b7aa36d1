"""Every engine as a fixture, checked for leftovers when its test is over."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.engine.rigs import open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig


@pytest.fixture(scope="session")
def installation() -> str:
    """A label that nothing else on this machine has."""
    return f"{os.environ.get('SCF_TEST_INSTALLATION', 'test')}-{secrets.token_hex(4)}"


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.engine),
        "bubblewrap",
        "plain",
    ]
)
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path, installation: str
) -> AsyncIterator[Rig]:
    """Every engine in turn."""
    async with open_rig(request.param, tmp_path, installation) as rig:
        yield rig


@pytest.fixture(params=["bubblewrap", "plain"])
async def process_rig(
    request: pytest.FixtureRequest, tmp_path: Path, installation: str
) -> AsyncIterator[Rig]:
    async with open_rig(request.param, tmp_path, installation) as rig:
        yield rig


@pytest.fixture
async def bubblewrap_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    async with open_rig("bubblewrap", tmp_path, installation) as rig:
        yield rig


@pytest.fixture
async def plain_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    async with open_rig("plain", tmp_path, installation) as rig:
        yield rig


@pytest.fixture
async def docker_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    async with open_rig("docker", tmp_path, installation) as rig:
        yield rig
