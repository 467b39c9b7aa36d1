"""What others do to a Docker engine while the sandbox runs, and an engine that is away."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox.engine.docker.engine import DockerEngine
from sandbox.errors import EngineError
from tests.engine.engine_kit import Watcher
from tests.engine.rigs import open_rig
from tests.support.engine_proxy import EngineProxy, Mode
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
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProxy]:
    with EngineProxy(tmp_path).running() as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.address)
        yield proxy


@pytest.fixture
async def far_rig(
    proxy: EngineProxy, tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    """Its engine is behind the proxy, and has two seconds for an answer."""
    monkeypatch.setattr("sandbox.engine.docker.client.CALL_TIMEOUT_S", 2)
    async with open_rig("docker", tmp_path, installation) as rig:
        yield rig
        proxy.mode = Mode.WELL


def engine_of(rig: Rig) -> DockerEngine:
    assert isinstance(rig.engine, DockerEngine)
    return rig.engine


async def volumes(rig: Rig, role: str) -> list[str]:
    engine = engine_of(rig)
    return await engine.client.volume_names(*engine.labels.find(role))


async def containers(rig: Rig, role: str) -> list[str]:
    engine = engine_of(rig)
    return await engine.client.container_ids(*engine.labels.find(role))


async def says(rig: Rig, digest: str, layers: tuple[str, ...] = ()) -> list[str]:
    """What a new instance says, which is gone then."""
    watcher = Watcher()
    container = await rig.engine.launch(rig.spec(digest, layers=layers), watcher)
    container.release()
    await watcher.end()
    assert await container.destroy()
    return watcher.lines


async def test_code_and_layers_that_somebody_removed_are_made_again(
    docker_rig: Rig, client: Any
) -> None:
    code = docker_rig.save("cat word /opt/layer", word="code\n")
    layer = docker_rig.save("true", layer="layer\n")
    for _ in range(3):
        assert await says(docker_rig, code, (layer,)) == ["code", "layer"]
        found = await volumes(docker_rig, "code")
        assert len(found) == 2
        for name in found:
            await remove_volume(client, name)


async def remove_volume(client: Any, volume: str) -> None:
    """A container that is just going may have it for a moment."""

    def removed() -> bool:
        with contextlib.suppress(docker.errors.APIError):
            client.remove_volume(volume)
            return True
        return False

    await eventually(removed)


async def test_many_instances_at_once_find_their_code_again(docker_rig: Rig, client: Any) -> None:
    code = docker_rig.save("cat word", word="code\n")
    await docker_rig.engine.prepare(code, ())
    (name,) = await volumes(docker_rig, "code")
    await remove_volume(client, name)
    found = await asyncio.gather(*(says(docker_rig, code) for _ in range(6)))
    assert found == [["code"]] * 6


async def test_a_network_that_somebody_removed_is_made_again(docker_rig: Rig, client: Any) -> None:
    code = docker_rig.save("echo here")
    assert await says(docker_rig, code) == ["here"]
    engine = engine_of(docker_rig)
    (network,) = await engine.client.network_ids(*engine.labels.find("network"))
    client.remove_network(network)
    found = await asyncio.gather(*(says(docker_rig, code) for _ in range(3)))
    assert found == [["here"]] * 3
    (again,) = await engine.client.network_ids(*engine.labels.find("network"))
    assert again != network


async def test_disks_whose_volumes_somebody_removed_are_disks_all_the_same(
    tmp_path: Path, installation: str, client: Any
) -> None:
    async with open_rig("docker", tmp_path, installation, tmp="auto") as rig:
        if engine_of(rig).info.beside_mb:
            pytest.skip("this machine has no loop devices for us")
        for role in ("tmp", "disks"):
            for name in await volumes(rig, role):
                await remove_volume(client, name)
        end, lines = await rig.run("df -P -k /tmp | tail -n 1 | cut -d' ' -f1")
        assert (end.code, lines[0][:9]) == (0, "/dev/loop")


AWAY = [Mode.REFUSING, Mode.RESETTING, Mode.HANGING]


@pytest.mark.parametrize("mode", AWAY, ids=lambda mode: mode.value)
async def test_a_container_that_cannot_be_removed_is_removed_later(
    far_rig: Rig, proxy: EngineProxy, mode: Mode
) -> None:
    container, _ = await far_rig.launch("sleep 1000")
    proxy.mode = mode
    assert not await container.destroy()
    proxy.mode = Mode.WELL
    assert await container.destroy()
    assert await containers(far_rig, "instance") == []


@pytest.mark.parametrize("mode", AWAY, ids=lambda mode: mode.value)
async def test_a_start_that_fails_says_why_and_leaves_nothing(
    far_rig: Rig, proxy: EngineProxy, mode: Mode
) -> None:
    code = far_rig.save("echo here")
    assert await says(far_rig, code) == ["here"]
    proxy.mode = mode
    with pytest.raises(EngineError, match="does not answer: see that `docker info` works"):
        await says(far_rig, code)
    proxy.mode = Mode.WELL
    assert await says(far_rig, code) == ["here"]
    orphans = engine_of(far_rig)._orphans
    for _ in range(2):
        await orphans.look()
    assert await containers(far_rig, "instance") == []


async def test_what_nobody_owns_is_removed_and_what_somebody_owns_is_not(
    docker_rig: Rig, client: Any
) -> None:
    engine = engine_of(docker_rig)
    _, watcher = await docker_rig.launch("sleep 1000")
    labels = engine.labels.of("instance")
    client.create_container(engine.image.name, "true", labels=labels)
    assert len(await containers(docker_rig, "instance")) == 2
    await engine._orphans.look()
    assert len(await containers(docker_rig, "instance")) == 2  # it may be just being made
    await engine._orphans.look()
    assert len(await containers(docker_rig, "instance")) == 1
    assert watcher.exits == []


async def test_a_slow_engine_is_waited_for(far_rig: Rig, proxy: EngineProxy) -> None:
    proxy.mode = Mode.SLOW
    assert await says(far_rig, far_rig.save("echo here")) == ["here"]
