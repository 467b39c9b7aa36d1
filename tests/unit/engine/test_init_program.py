"""Where the process engine gets init from."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.process import program
from sandbox.engine.process.program import SOURCES, find_init
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SCF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(program, "IN_IMAGE", tmp_path / "none")
    return tmp_path / "cache"


def test_the_chosen_one_is_taken(tmp_path: Path) -> None:
    chosen = tmp_path / "init"
    chosen.touch(0o755)
    assert find_init(chosen) == chosen


def test_a_chosen_one_that_is_no_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"SCF_INIT_PROGRAM is .*init, which is no program"):
        find_init(tmp_path / "init")


def test_that_of_the_image_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    there.touch(0o755)
    monkeypatch.setattr(program, "IN_IMAGE", there)
    assert find_init(None) == there


def test_it_is_compiled_once_and_where_the_scripts_look(cache: Path) -> None:
    found = find_init(None)
    made = found.stat().st_mtime_ns
    assert find_init(None).stat().st_mtime_ns == made
    script = f"cd {SOURCES[0]} && cat *.c *.h build | sha256sum | cut -c1-16"
    digits = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert found == cache / "init" / f"program-{digits.stdout.strip()}"
    assert [place.name for place in found.parent.iterdir()] == [found.name]


def test_without_a_compiler_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(EngineError, match="install gcc with its static C library"):
        find_init(None)


def test_without_sources_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "SOURCES", (tmp_path,))
    with pytest.raises(EngineError, match="set SCF_INIT_PROGRAM"):
        find_init(None)
    shutil.copytree(SOURCES[0], tmp_path / "init")
    monkeypatch.setattr(program, "SOURCES", (tmp_path, tmp_path / "init"))
    assert find_init(None).exists()
