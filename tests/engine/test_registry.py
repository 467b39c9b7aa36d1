"""Which engine is chosen, and what is said when there is none."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.process.engine import ProcessEngine
from sandbox.engine.process.isolation import PlainProcess, choose_isolation
from sandbox.engine.registry import BUILT_IN, choose_engine
from sandbox.errors import EngineError, RequestError
from sandbox.packages.package import PackageStore
from sandbox.settings import BUILT_IN_ENGINES, Settings, known_engines, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.engine.base import Engine


def chosen(engine: str, directory: Path) -> Engine:
    return choose_engine(Settings(engine=engine, data_dir=directory), PackageStore(directory))


@pytest.fixture
def _no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.mark.usefixtures("_no_docker")
def test_without_a_container_engine_processes_stand_in(tmp_path: Path) -> None:
    engine = chosen("auto", tmp_path)
    assert isinstance(engine, ProcessEngine)
    assert not engine.info.abi_parity


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


def test_every_built_in_engine_has_its_place_in_the_table() -> None:
    assert tuple(BUILT_IN) == BUILT_IN_ENGINES


@pytest.fixture
def _other_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed distribution with engines: one that is there, one that is not, two that hide
    behind the names of built-in ones."""
    site = tmp_path / "site"
    facts = site / "other_engines-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: other-engines\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[scf_sandbox.engines]\nmine = other_engines:MineEngine\nlost = other_engines:Lost\n"
        "auto = other_engines:Lost\nprocess = other_engines:Lost\n"
    )
    (site / "other_engines.py").write_text(
        "class MineEngine:\n"
        "    def __init__(self, settings, packages):\n"
        "        self.given = settings, packages\n"
    )
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("other_engines", None)


@pytest.mark.usefixtures("_other_engines")
def test_another_packages_engine_is_chosen_by_its_name(tmp_path: Path) -> None:
    engine: Any = chosen("mine", tmp_path)
    settings, packages = engine.given
    assert type(engine).__name__ == "MineEngine"
    assert settings.data_dir == tmp_path
    assert isinstance(packages, PackageStore)


@pytest.mark.usefixtures("_other_engines")
def test_no_other_package_takes_the_name_of_a_built_in_engine(tmp_path: Path) -> None:
    assert isinstance(chosen("process", tmp_path), ProcessEngine)
    assert known_engines() == ["auto", "docker", "process", "lost", "mine"]


@pytest.mark.usefixtures("_other_engines")
def test_an_engine_that_cannot_be_loaded_is_named_with_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"lost.*other_engines:Lost.*SCF_ENGINE"):
        chosen("lost", tmp_path)


@pytest.mark.usefixtures("_other_engines")
def test_the_error_for_an_unknown_name_lists_the_known_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCF_ENGINE", "podman")
    with pytest.raises(RequestError, match=r"SCF_ENGINE: .*auto, docker, process, lost, mine"):
        read_settings()


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
