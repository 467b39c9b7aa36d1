"""An engine of another package: the suite that every engine passes can be run on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What the docstring of ``sandbox.engine.base`` tells to write.
SUITE = '''
import pytest
from sandbox.engine.process.engine import ProcessEngine
from sandbox.settings import Settings
from tests.engine.engine_kit import opened
from tests.engine.rigs import process_leftovers
from tests.engine.test_contract import *


class MyEngine(ProcessEngine):
    """Prepares nothing before the launch."""

    async def prepare(self, code_digest, layers):
        pass


@pytest.fixture
async def rig(tmp_path):
    settings = Settings(data_dir=tmp_path, installation="other-engine")
    async with opened(MyEngine, settings, lambda: process_leftovers(settings)) as rig:
        rig.fixed_places = rig.engine.isolation.name != "none"
        yield rig
'''
CHOSEN = "waits_for_its_release or layers or prepared or node or says_what_it_is"


def test_the_contract_suite_runs_outside_of_this_project(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = auto\npythonpath = {ROOT}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
