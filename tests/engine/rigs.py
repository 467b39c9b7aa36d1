"""Engines opened for a test, and checked for what they left when it is over."""

from __future__ import annotations

import contextlib
import fcntl
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox.engine.docker.disks import label_of
from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.process.engine import ProcessEngine
from sandbox.engine.process.isolation import PlainProcess, choose_isolation
from sandbox.settings import Settings
from tests.engine.engine_kit import opened
from tests.init.processes import below
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandbox.engine.base import Engine
    from sandbox.engine.process.isolation import Isolation
    from sandbox.packages.package import PackageStore
    from tests.engine.engine_kit import Rig


#: The kernel gives a device back when the container that had it is gone for good.
GIVEN_BACK_S = 10.0
LOOP_GET_STATUS64 = 0x4C05
#: Of what that gives: the part with the name.
STATUS_BYTES, NAME = 232, slice(56, 120)


async def plain_processes(_accounts: Path) -> Isolation:
    return PlainProcess()


@contextlib.asynccontextmanager
async def open_rig(
    kind: str, directory: Path, installation: str, **more: Any
) -> AsyncIterator[Rig]:
    """An engine of ours that is closed again, and has left nothing then. It makes no places and no
    disks ahead, unless it is told to: both take their time at each start."""
    few: dict[str, Any] = {"places": 0, "tmp": "memory"}
    settings = Settings(data_dir=directory, installation=installation, **{**few, **more})
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
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not loop_devices(installation), GIVEN_BACK_S)
    return found + loop_devices(installation)


def loop_devices(installation: str) -> list[str]:
    """The loop devices of this machine that are the installation's, by their names."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop"):
        with contextlib.suppress(OSError), open(f"/dev/{path.parent.name}", "rb") as device:
            status = fcntl.ioctl(device, LOOP_GET_STATUS64, bytes(STATUS_BYTES))
            if status[NAME].startswith(f"{label_of(installation)}/".encode()):
                found.append(path.parent.name)
    return found
