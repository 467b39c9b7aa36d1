"""Which engine is chosen, and what is said when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.process.engine import ProcessEngine
from sandbox.engine.process.isolation import PlainProcess, choose_isolation
from sandbox.engine.registry import choose_engine
from sandbox.errors import EngineError
from sandbox.packages.package import PackageStore
from sandbox.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.engine.base import Engine


def chosen(engine: Literal["auto", "docker", "process"], directory: Path) -> Engine:
    return choose_engine(Settings(engine=engine, data_dir=directory), PackageStore(directory))


@pytest.fixture
def _no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.mark.usefixtures("_no_docker")
def test_without_a_container_engine_processes_stand_in(tmp_path: Path) -> None:
    engine = chosen("auto", tmp_path)
    assert isinstance(engine, ProcessEngine)
    assert not engine.info.os_parity


@pytest.mark.usefixtures("_no_docker")
def test_docker_that_was_asked_for_must_answer(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="SCF_ENGINE=process"):
        chosen("docker", tmp_path)


def test_processes_that_were_asked_for_are_used_though_docker_is_there(tmp_path: Path) -> None:
    assert chosen("process", tmp_path).info.name == "process"


@pytest.mark.engine
def test_a_container_engine_that_answers_is_preferred(tmp_path: Path) -> None:
    engine = chosen("auto", tmp_path)
    assert isinstance(engine, DockerEngine)
    engine.client.close()


@pytest.mark.parametrize("program", ["exit 1", "exec sleep 1000", None])
async def test_bubblewrap_that_does_not_work_is_not_used(
    program: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.engine.process.isolation.PROBE_TIMEOUT_S", 0.2)
    if program is not None:
        bubblewrap = tmp_path / "bwrap"
        bubblewrap.write_text(f"#!/bin/sh\n{program}\n")
        bubblewrap.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if program else str(tmp_path))
    assert isinstance(await choose_isolation(tmp_path / "etc"), PlainProcess)
