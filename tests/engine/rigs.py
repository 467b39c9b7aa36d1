"""Engines opened for a test, and checked for what they left when it is over."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.process.engine import ProcessEngine
from sandbox.engine.process.isolation import PlainProcess, choose_isolation
from sandbox.settings import Settings
from tests.engine.engine_kit import opened
from tests.init.processes import below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sandbox.engine.base import Engine
    from sandbox.engine.process.isolation import Isolation
    from sandbox.packages.package import PackageStore
    from tests.engine.engine_kit import Rig


async def plain_processes(_accounts: Path) -> Isolation:
    return PlainProcess()


@contextlib.asynccontextmanager
async def open_rig(
    kind: str, directory: Path, installation: str, **more: Any
) -> AsyncIterator[Rig]:
    """An engine of ours that is closed again, and has left nothing then. It makes no places ahead,
    unless it is told to."""
    settings = Settings(data_dir=directory, installation=installation, **{"places": 0, **more})
    make: Callable[[Settings, PackageStore], Engine] = DockerEngine
    leftovers = partial(docker_leftovers, installation)
    if kind != "docker":
        choose = choose_isolation if kind == "bubblewrap" else plain_processes
        make = partial(ProcessEngine, choose=choose)
        leftovers = partial(process_leftovers, settings)
    async with opened(make, settings, leftovers) as rig:
        rig.fixed_places = kind != "plain"
        if kind == "bubblewrap" and rig.engine.info.details["isolation"] != "bubblewrap":
            pytest.skip("bubblewrap is not installed, or may not do its work here")
        yield rig


def process_leftovers(settings: Settings) -> list[str]:
    """Processes below this one, processes with our mark, directories of the engine's."""
    found = [f"process {pid}" for pid in below(os.getpid())]
    mark = f"MARK={settings.installation}\0".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if mark in file.read():
                found.append(f"marked process {pid}")
    found += map(str, settings.data_dir.glob("process/*"))
    return found


def docker_leftovers(installation: str) -> list[str]:
    """Everything in the engine that carries the installation's label, or its name only: the engine
    makes a volume without a label where a container asks for one that is gone."""
    client: Any = docker.APIClient(**kwargs_from_env())
    filters = {"label": f"scf-sandbox={installation}"}
    try:
        found = [item["Names"][0] for item in client.containers(all=True, filters=filters)]
        found += [item["Name"] for item in client.networks(filters=filters)]
        for chosen in (filters, {"name": f"scf-{installation}-"}):
            found += [item["Name"] for item in client.volumes(filters=chosen)["Volumes"] or []]
    finally:
        client.close()
    return found
