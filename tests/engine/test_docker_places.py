"""Places: network ends made ahead, into which instances start one after another."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engine.docker import places
from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.docker.places import PIDS
from sandbox.instance.lifecycle import State
from tests.engine.isolation_kit import PORT, UNPACK, compiled_reach, docker_says
from tests.engine.rigs import open_rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig, Watcher

pytestmark = pytest.mark.engine

#: One after another in one place. 100 in the run that docs/en/security.md tells of.
TENANTS = int(os.environ.get("SCF_PLACE_TENANTS", "12"))
#: A connection of one's own, and then what the namespace has of sockets in all.
SOCKETS = """exec 3<>/dev/tcp/$SCF_RUNTIME_API/$SCF_RUNTIME_API_PORT
read -r _ _ tcp _ _ _ waiting _ < <(grep TCP: /proc/net/sockstat)
read -r _ _ udp _ < <(grep UDP: /proc/net/sockstat)
echo "$tcp $udp $waiting $(wc -l </proc/net/tcp)"
"""


@pytest.fixture
async def placed(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    """An engine with one place that is ready."""
    for name in ("QUIET_S", "PAUSE_S"):
        monkeypatch.setattr(places, name, 0.05)
    async with open_rig("docker", tmp_path, installation, places=1) as rig:
        await place_ready(rig)
        yield rig


async def place_ready(rig: Rig) -> None:
    assert isinstance(rig.engine, DockerEngine)
    made = rig.engine.places
    await eventually(lambda: made.free == 1)


async def inspected(container: str) -> dict[str, Any]:
    """What the engine says of a container."""
    [facts] = json.loads(await docker_says("inspect", container))
    assert isinstance(facts, dict)
    return facts


async def place_of(installation: str) -> str:
    """The container of the one place."""
    labels = (f"label=scf-sandbox={installation}", "label=scf-sandbox.role=place")
    listed = await docker_says("ps", "-q", *(word for name in labels for word in ("-f", name)))
    [found] = listed.split()
    return found


async def test_a_place_is_small_and_closed(placed: Rig, installation: str) -> None:
    facts = await inspected(await place_of(installation))
    host = facts["HostConfig"]
    assert host["LogConfig"]["Type"] == "none"
    assert (host["PidsLimit"], host["Memory"]) == (PIDS, 16 << 20)
    assert host["Sysctls"] == {"net.ipv4.tcp_max_tw_buckets": "0"}
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert "no-new-privileges" in host["SecurityOpt"]
    assert facts["Config"]["User"] == "qcloud"
    assert placed.settings.places == 1


async def test_an_instance_starts_into_a_place_and_leaves_it_to_the_next(
    placed: Rig, installation: str
) -> None:
    place = await inspected(await place_of(installation))
    [end] = place["NetworkSettings"]["Networks"].values()
    for _ in range(2):
        container, watcher = await placed.launch("hostname; echo $SCF_RUNTIME_API")
        facts = await inspected(container.container_id)
        assert facts["HostConfig"]["NetworkMode"] == f"container:{place['Id']}"
        assert not facts["HostConfig"].get("Sysctls")
        assert container.peer == end["IPAddress"]
        container.release()
        await watcher.end()
        assert watcher.lines == [place["Config"]["Hostname"], container.runtime_host]
        await container.destroy()
        await place_ready(placed)


async def test_without_a_free_place_an_instance_has_a_network_end_of_its_own(placed: Rig) -> None:
    first, _ = await placed.launch("true")
    second, _ = await placed.launch("true")
    assert first.peer != second.peer
    facts = await inspected(second.container_id)
    assert not facts["HostConfig"]["NetworkMode"].startswith("container:")


async def test_a_name_means_nothing_outside_its_place(placed: Rig) -> None:
    victim = await placed.instance("sleep 1000 & wait")
    assert victim.container is not None
    victim.release(None)  # a ready report would count now
    intruder, watcher = await placed.launch(
        'curl -sS -o /dev/null -w "%{http_code}\\n" -d " "'
        f' -H "Host: {victim.container.runtime_host}:$SCF_RUNTIME_API_PORT"'
        ' "http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/init/ready"'
    )
    intruder.release()
    await watcher.end()
    assert watcher.lines == ["403"]
    assert victim.state is State.INITIALISING


@pytest.mark.timeout(60 + 3 * TENANTS)
async def test_many_tenants_leave_nothing_in_a_place(placed: Rig, installation: str) -> None:
    place = await place_of(installation)
    said: list[list[str]] = []
    took: list[float] = []
    before = await memory_of(place)
    for _ in range(TENANTS):
        began = time.monotonic()
        container, watcher = await placed.launch(SOCKETS)
        took.append(time.monotonic() - began)
        container.release()
        await watcher.end()
        said.append(watcher.lines)
        await container.destroy()
        await place_ready(placed)
    after = await memory_of(place)
    print(f"{TENANTS} tenants; start to standing by, s:", *(f"{seconds:.2f}" for seconds in took))
    print(f"memory of the place, KiB: {before} before, {after} after; sockets: {said[-1]}")
    assert await place_of(installation) == place
    assert said == [said[0]] * TENANTS
    assert after <= before + 256


async def memory_of(container: str) -> int:
    """KiB in its control group, of ``196KiB / 16MiB``."""
    usage = await docker_says("stats", "--no-stream", "--format", "{{.MemUsage}}", container)
    number = usage.split("/")[0].strip()
    return int(float(number[:-3]) * {"KiB": 1, "MiB": 1024}[number[-3:]])


@pytest.mark.parametrize("mode", ["hold", "listen"])
async def test_a_port_is_free_for_the_next_tenant_at_once(
    placed: Rig, tmp_path: Path, mode: str
) -> None:
    """The server does not set ``SO_REUSEADDR``, and is killed with its connections open, or has
    just closed them itself."""
    reach = {"reach": compiled_reach(tmp_path)}
    addresses = set()
    for _ in range(3):
        container, watcher = await placed.launch(
            f"{UNPACK}; exec /tmp/reach {mode} {PORT}", files=reach
        )
        addresses.add(container.peer)
        container.release()
        await eventually(lambda: bool(watcher.lines))  # noqa: B023
        assert watcher.lines[0].startswith("here"), watcher.lines
        streams = [await asyncio.open_connection(container.peer, PORT) for _ in range(5)]
        await eventually(lambda: watcher.lines.count("came tcp") == 5)  # noqa: B023
        await container.destroy()
        for _, writer in streams:
            writer.close()
        await place_ready(placed)
    assert len(addresses) == 1


async def test_a_place_that_is_lost_ends_its_tenant_and_is_replaced(
    placed: Rig, installation: str
) -> None:
    container, watcher = await placed.launch("echo here; sleep 1000")
    container.release()
    await watcher.said("here")
    lost = await place_of(installation)
    await docker_says("rm", "-f", lost)
    exit = await watcher.end()
    assert exit.code is None
    await container.destroy()
    await place_ready(placed)
    assert await place_of(installation) != lost
    await runs(*await placed.launch("echo again"))


async def runs(container: Any, watcher: Watcher) -> None:
    container.release()
    await watcher.said("again")


async def test_a_free_place_that_is_lost_is_not_let(placed: Rig, installation: str) -> None:
    assert isinstance(placed.engine, DockerEngine)
    made = placed.engine.places
    await docker_says("rm", "-f", await place_of(installation))
    await eventually(lambda: made.free == 0)
    await runs(*await placed.launch("echo again"))
