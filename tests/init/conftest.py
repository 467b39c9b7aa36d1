"""The init, compiled once, and a stage on which it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.init.init_kit import OWN_NAMESPACE, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BUILD = Path(__file__).parents[2] / "init" / "build"


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled init. ``SCF_INIT_BINARY`` names one that is compiled already."""
    if given := os.environ.get("SCF_INIT_BINARY"):
        return Path(given)
    if not any(shutil.which(name) for name in (os.environ.get("CC", "gcc"), "musl-gcc")):
        pytest.skip("init cannot be compiled here: install gcc (and musl-tools)")
    out = tmp_path_factory.mktemp("init") / "init"
    subprocess.run([BUILD, out], check=True, timeout=60)
    out.parent.parent.chmod(0o755)
    return out


@pytest.fixture(scope="session")
def own_namespace() -> tuple[str, ...]:
    """What makes init PID 1."""
    try:
        subprocess.run([*OWN_NAMESPACE, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("init cannot be PID 1 here: process namespaces take root and util-linux")
    return OWN_NAMESPACE


@pytest.fixture
async def stage(binary: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(binary, tmp_path)
    await stage.open()
    yield stage
    await stage.close()
