"""Containers of instances are as closed as the platform's (contract 2.2), seen from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox import limits
from tests.engine.rigs import open_rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine


@pytest.fixture
def client() -> Iterator[Any]:
    client: Any = docker.APIClient(**kwargs_from_env())
    yield client
    client.close()


@pytest.fixture
async def docker_rig(tmp_path: Path, installation: str) -> AsyncIterator[Rig]:
    """As users have it."""
    async with open_rig("docker", tmp_path, installation, tmp="auto") as rig:
        yield rig


@pytest.fixture
async def facts(docker_rig: Rig, client: Any) -> dict[str, Any]:
    """What the engine says of a waiting instance with 256 MB and a layer."""
    layer = docker_rig.save("", layer="x")
    container, _ = await docker_rig.launch("true", memory_mb=256, layers=(layer,))
    found: dict[str, Any] = client.inspect_container(container.container_id)
    return found


async def test_a_container_is_closed_where_the_platforms_is(facts: dict[str, Any]) -> None:
    host = facts["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["Memory"] == host["MemorySwap"] in (256 * limits.MIB, 768 * limits.MIB)
    assert host["PidsLimit"] == limits.MAX_PIDS
    assert host["CpuShares"] == 1024 * 256 // limits.MEMORY_PER_CORE_MB
    assert host["Init"] is False  # ours is in the image
    assert list(host.get("Tmpfs") or []) in ([], ["/tmp"])
    assert host["ShmSize"] == limits.SHM_BYTES
    ulimits = {u["Name"]: (u["Soft"], u["Hard"]) for u in host["Ulimits"]}
    assert ulimits == {"nofile": (limits.MAX_FDS, limits.MAX_FDS), "core": (0, 0)}
    assert host["PidMode"] == ""
    assert host["IpcMode"] == "private"
    assert host["PortBindings"] in (None, {})
    assert facts["Config"]["User"] == "qcloud"
    assert facts["Config"]["WorkingDir"] == "/var/user"


async def test_code_layers_and_the_box_for_gauges_are_read_only(facts: dict[str, Any]) -> None:
    mounts = {mount["Destination"]: mount for mount in facts["Mounts"]}
    mounts.pop("/tmp", None)
    assert sorted(mounts) == ["/.scf/run", "/opt", "/var/user"]
    assert not any(mount["RW"] for mount in mounts.values())
    assert mounts["/opt"]["Type"] == mounts["/var/user"]["Type"] == "volume"


async def test_a_container_is_in_the_network_of_instances_only(
    facts: dict[str, Any], installation: str
) -> None:
    networks = facts["NetworkSettings"]["Networks"]
    assert len(networks) == 1
    (name,) = networks
    assert name.startswith(f"scf-{installation}-")
    assert facts["HostConfig"]["NetworkMode"] == name


async def test_everything_carries_the_installations_label(
    facts: dict[str, Any], installation: str
) -> None:
    labels = facts["Config"]["Labels"]
    assert labels["scf-sandbox"] == installation
    assert labels["scf-sandbox.role"] == "instance"
    assert labels["scf-sandbox.function"] == "default/hello"


async def test_seen_from_inside_it_is_as_closed(docker_rig: Rig) -> None:
    _, lines = await docker_rig.run(
        "id -un; id -u; date +%Z; ulimit -n; ulimit -c;"
        " grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t';"
        " cat /proc/1/comm; echo $HOME; ls -d $HOME"
    )
    assert lines == [
        *("qcloud", "1000", "UTC", "1024", "0"),
        *("CapEff:0000000000000000", "CapBnd:0000000000000000", "NoNewPrivs:1", "Seccomp:2"),
        *("init", "/home/qcloud", "/home/qcloud"),
    ]


async def test_what_lies_in_shared_memory_counts_as_the_instances(docker_rig: Rig) -> None:
    fill = "head -c 40000000 /dev/zero >/dev/shm/fill && echo filled"
    end, lines = await docker_rig.run(f"df -k /dev/shm | tail -n 1; {fill}", memory_mb=64)
    assert int(lines[0].split()[1]) * 1024 == limits.SHM_BYTES
    assert (end.code, lines[1:]) == (0, ["filled"])
    container, watcher = await docker_rig.launch(f"{fill}; sleep 1000", memory_mb=128)
    container.release()
    await watcher.said("filled")
    # Between two borders init tells what rises by more than 1 %.
    await eventually(lambda: watcher.peak > 40_000_000 * 0.99)
    if docker_rig.engine.info.beside_mb:
        return  # init keeps the limit, and may come later than the next line
    end, lines = await docker_rig.run(f"cp /dev/zero /dev/shm/fill; {fill}", memory_mb=64)
    assert lines.count("filled") == 0
