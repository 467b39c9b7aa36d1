"""``/tmp`` is a disk of 512 MB beside the memory (contract 2.2), in both ways that there are."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox import limits
from sandbox.engine.docker import disks
from sandbox.engine.docker.client import DockerClient
from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.docker.image import InstanceImage
from sandbox.engine.docker.labels import Labels
from sandbox.errors import EngineError
from sandbox.settings import Settings
from tests.engine.rigs import docker_leftovers, loop_devices, open_rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
BUSY = "while :; do :; done"


@pytest.fixture
def client() -> Iterator[Any]:
    client: Any = docker.APIClient(**kwargs_from_env())
    yield client
    client.close()


@pytest.fixture
async def disk_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    """An engine whose instances have disks; skipped where its machine lends no loop devices."""
    async with open_rig("docker", tmp_path, installation, tmp="auto") as rig:
        if rig.engine.info.beside_mb:
            pytest.skip(f"no loop devices here: {rig.engine.info.tmp}")
        yield rig


@pytest.fixture
async def memory_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    async with open_rig("docker", tmp_path, installation, tmp="memory") as rig:
        yield rig


@pytest.fixture(params=["disk", "memory"])
def any_rig(request: pytest.FixtureRequest) -> Rig:
    rig: Rig = request.getfixturevalue(f"{request.param}_rig")
    return rig


def fill(megabytes: int, name: str = "fill") -> str:
    return f"dd if=/dev/zero of=/tmp/{name} bs=1M count={megabytes}"


async def test_files_are_beside_the_memory(any_rig: Rig) -> None:
    container, watcher = await any_rig.launch(
        f"{fill(300)} 2>/dev/null && stat -c %s /tmp/fill; {BUSY}", memory_mb=64
    )
    container.release()
    await watcher.said(str(300 * limits.MIB))
    await watcher.border(container)
    assert watcher.peak < 20 * limits.MIB


async def test_it_holds_512_mb_and_not_more(any_rig: Rig) -> None:
    end, lines = await any_rig.run(
        f"{fill(512)} 2>/dev/null; stat -c %s /tmp/fill; rm /tmp/fill; {fill(600)}; echo said"
    )
    assert end.code == 0
    assert lines[0] == str(limits.TMP_BYTES)
    assert any("No space left on device" in line for line in lines[1:])
    assert lines[-1] == "said"


async def test_memory_above_memory_size_ends_the_function(any_rig: Rig) -> None:
    """Files in ``/tmp`` do not lend their room to it."""
    grow = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"
    end, lines = await any_rig.run(f"{fill(100)} 2>/dev/null; {grow}")
    assert lines == []
    assert end.oom_killed


async def test_it_is_empty_and_open_to_all(disk_rig: Rig) -> None:
    for _ in range(2):
        end, lines = await disk_rig.run(
            "ls -A /tmp; stat -c %a /tmp; grep ' /tmp ' /proc/mounts; cd /tmp;"
            " printf '#!/bin/sh\\necho runs\\n' >x; chmod +x x; ./x"
        )
        assert end.code == 0
        assert lines[0] == "1777"
        options = lines[1].split()[3].split(",")
        assert lines[1].split()[2] == "ext4"
        assert {"rw", "nosuid", "nodev"} < set(options)
        assert lines[2] == "runs"


async def test_it_takes_one_file_per_event_for_200000_events(disk_rig: Rig) -> None:
    """The documentation's own bootstrap leaves a file of some hundred bytes for each event."""
    container, watcher = await disk_rig.launch(
        "head='HTTP/1.1 200 OK Content-Type: application/json and what else a head has';"
        ' cd /tmp; for ((n = 0; n < 200000; n++)); do echo "$head" >tmp.$n || break; done;'
        " echo $n",
        memory_mb=128,
    )
    container.release()
    await eventually(lambda: bool(watcher.exits), 120)
    assert watcher.lines == ["200000"]


async def test_files_come_and_go_fast(disk_rig: Rig) -> None:
    """Without a journal, ext4 avoids what was just removed, and looks for it for ever longer."""
    end, lines = await disk_rig.run(
        "cd /tmp; for n in {1..20000}; do echo x >file.$n; done; rm file.*;"
        " for n in {1..10000}; do echo x >again.$n; done; ls | wc -l"
    )
    assert (end.code, lines) == (0, ["10000"])


async def test_it_is_told_which_way_is_in_force(any_rig: Rig) -> None:
    info = any_rig.engine.info
    assert info.tmp.split(":")[0] == ("memory" if info.beside_mb else "disk")
    assert info.beside_mb in (0, limits.TMP_BYTES // limits.MIB)


async def test_the_kernels_limit_is_memory_size_where_there_are_disks(
    disk_rig: Rig, client: Any
) -> None:
    container, _ = await disk_rig.launch("true", memory_mb=256)
    facts = client.inspect_container(container.container_id)
    assert facts["HostConfig"]["Memory"] == 256 * limits.MIB
    assert not facts["HostConfig"].get("Tmpfs")
    assert [m["Type"] for m in facts["Mounts"] if m["Destination"] == "/tmp"] == ["volume"]


async def test_the_kernels_limit_has_room_for_files_where_they_are_memory(
    memory_rig: Rig, client: Any
) -> None:
    container, _ = await memory_rig.launch("true", memory_mb=256)
    host = client.inspect_container(container.container_id)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 256 * limits.MIB + limits.TMP_BYTES
    assert f"size={limits.TMP_BYTES}" in host["Tmpfs"]["/tmp"]
    assert "exec" in host["Tmpfs"]["/tmp"].split(",")


async def test_without_loop_devices_files_are_in_memory(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "DEVICES", ())
    async with open_rig("docker", tmp_path, installation, tmp="auto") as rig:
        assert rig.engine.info.beside_mb
        assert "Operation not permitted" in rig.engine.info.tmp
        end, lines = await rig.run(f"{fill(200)} 2>/dev/null && echo filled", memory_mb=64)
        assert (end.code, lines) == (0, ["filled"])


async def test_a_disk_that_is_asked_for_must_be_there(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "DEVICES", ())
    with pytest.raises(EngineError, match="SCF_TMP=memory"):
        async with open_rig("docker", tmp_path, installation, tmp="disk"):
            pass


async def test_what_makes_disks_may_do_nothing_else(
    tmp_path: Path, installation: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its containers, as the engine sees them; the control plane has no right of theirs."""
    seen: list[dict[str, Any]] = []
    async with open_rig("docker", tmp_path, installation, tmp="auto") as rig:
        engine = rig.engine
        assert isinstance(engine, DockerEngine)
        started = engine.client.start_container

        async def look(container: str) -> None:
            seen.append(client.inspect_container(container))
            await started(container)

        monkeypatch.setattr(engine.client, "start_container", look)
        await engine.tmp.disks._run(())
    helper = next(facts for facts in seen if "--disks" in facts["Config"]["Cmd"])
    host = helper["HostConfig"]
    assert host["Privileged"] is False
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["MKNOD"])
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["DeviceCgroupRules"] == ["b 7:* rwm", "c 10:237 rwm"]
    assert not host["Devices"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert [m["Destination"] for m in helper["Mounts"]] == ["/disks"]


async def test_a_disk_goes_with_its_instance(disk_rig: Rig, installation: str) -> None:
    """It is let go of while it is mounted; the kernel does the rest."""
    engine = disk_rig.engine
    assert isinstance(engine, DockerEngine)
    container, watcher = await disk_rig.launch(f"echo up >/tmp/file; cat /tmp/file; {BUSY}")
    container.release()
    await watcher.said("up")
    made = engine.tmp.disks
    async with made._runs:
        await made._refill(len(made._ready))
        ready = len(made._ready)
    assert len(loop_devices(installation)) == ready + 1
    await container.destroy()
    await eventually(lambda: len(loop_devices(installation)) == ready)


async def test_more_instances_than_disks_are_ready_start(
    disk_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "MOST_READY", 3)
    launched = [disk_rig.launch("true") for _ in range(10)]
    assert len({c.container_id for c, _ in await asyncio.gather(*launched)}) == 10


def disks_of(client: DockerClient, installation: str) -> disks.Disks:
    image = InstanceImage(client, Settings().instance_image)
    image.id = image.name
    return disks.Disks(client, Labels(installation), image)


async def test_scripts_down_lets_go_of_what_a_killed_sandbox_left(installation: str) -> None:
    client = DockerClient(8)
    killed = disks_of(client, installation)
    await killed._refill(3)
    client.close()
    assert len(loop_devices(installation)) == 3
    command = f'source "{ROOT}/scripts/lib.sh"; sweep --keep-data'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command), env={**os.environ, "SCF_INSTALLATION": installation}
    )
    assert await process.wait() == 0
    assert docker_leftovers(installation) == []


async def test_an_earlier_runs_disks_are_let_go_at_the_start(
    tmp_path: Path, installation: str
) -> None:
    """Also by a run that has none itself."""
    for way in ("auto", "memory"):
        client = DockerClient(8)
        killed = disks_of(client, installation)
        await killed._refill(3)
        assert len(loop_devices(installation)) == 3
        client.close()
        async with open_rig("docker", tmp_path, installation, tmp=way):
            await eventually(lambda: len(loop_devices(installation)) != 3)
