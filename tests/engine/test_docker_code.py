"""A package's volume: begun before the package is known to be good, and gone with its last use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.docker.engine import DockerEngine
from sandbox.errors import EngineError, PlatformError
from sandbox.packages.package import inspect
from tests.engine.engine_kit import Watcher
from tests.support.waiting import eventually
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine


async def found(rig: Rig, role: str) -> list[str]:
    """The volumes (``code``) or containers (``filler``) of this installation."""
    assert isinstance(rig.engine, DockerEngine)
    client, labels = rig.engine.client, rig.engine.labels.find(role)
    return await (client.container_ids if role == "filler" else client.volume_names)(*labels)


async def settled(rig: Rig, role: str, count: int) -> None:
    """Wait until there are so many of them."""

    async def reached() -> bool:
        return len(await found(rig, role)) == count

    await eventually(reached)


async def test_what_was_begun_ahead_is_what_the_package_goes_into(docker_rig: Rig) -> None:
    digest = docker_rig.save("echo here")
    docker_rig.engine.expect(digest)
    await settled(docker_rig, "filler", 1)
    docker_rig.engine.expect(digest)
    await docker_rig.engine.prepare(digest, ())
    docker_rig.engine.expect(digest)
    await settled(docker_rig, "filler", 0)
    assert len(await found(docker_rig, "code")) == 1
    watcher = Watcher()
    container = await docker_rig.engine.launch(docker_rig.spec(digest), watcher)
    container.release()
    await watcher.end()
    assert watcher.lines == ["here"]
    await container.destroy()


async def test_what_was_begun_for_a_package_that_never_came_is_removed(docker_rig: Rig) -> None:
    docker_rig.engine.expect("ab" * 32)
    await docker_rig.engine.forget("ab" * 32)
    assert await found(docker_rig, "filler") == []
    assert await found(docker_rig, "code") == []


async def test_a_package_is_made_ready_before_it_is_kept(docker_rig: Rig) -> None:
    package = inspect(zip_of({"bootstrap": "#!/bin/sh\necho early\n"}))
    docker_rig.engine.expect(package.ref.digest)
    docker_rig.engine.take(package)
    await docker_rig.engine.prepare(package.ref.digest, ())
    watcher = Watcher()
    container = await docker_rig.engine.launch(docker_rig.spec(package.ref.digest), watcher)
    container.release()
    await watcher.end()
    assert watcher.lines == ["early"]
    await container.destroy()
    await docker_rig.engine.forget(package.ref.digest)
    assert await found(docker_rig, "code") == []


async def test_a_package_that_cannot_be_read_fails_and_may_come_again(docker_rig: Rig) -> None:
    digest = docker_rig.save("echo here")
    path = docker_rig.packages._path(digest)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(20) + whole[60:])
    with pytest.raises(PlatformError, match="upload the code again"):
        await docker_rig.engine.prepare(digest, ())
    path.write_bytes(whole)
    await docker_rig.engine.prepare(digest, ())
    await settled(docker_rig, "filler", 0)


async def test_a_volume_that_somebody_removed_can_be_forgotten(docker_rig: Rig) -> None:
    assert isinstance(docker_rig.engine, DockerEngine)
    digest = docker_rig.save("echo here")
    await docker_rig.engine.prepare(digest, ())
    await settled(docker_rig, "filler", 0)
    [volume] = await found(docker_rig, "code")
    await docker_rig.engine.client.remove_volume(volume)
    await docker_rig.engine.forget(digest)
    await docker_rig.engine.prepare(digest, ())
    assert await found(docker_rig, "code") == [volume]


async def test_code_that_an_instance_uses_stays_until_it_is_gone(docker_rig: Rig) -> None:
    digest = docker_rig.save("sleep 1000")
    container = await docker_rig.engine.launch(docker_rig.spec(digest), Watcher())
    with pytest.raises(EngineError, match="in use"):
        await docker_rig.engine.forget(digest)
    assert len(await found(docker_rig, "code")) == 1
    await container.destroy()
    await docker_rig.engine.forget(digest)
    assert await found(docker_rig, "code") == []


async def test_code_stays_while_an_instance_of_it_is_being_made(docker_rig: Rig) -> None:
    digest = docker_rig.save("sleep 1000")
    await docker_rig.engine.prepare(digest, ())
    launching = asyncio.ensure_future(docker_rig.engine.launch(docker_rig.spec(digest), Watcher()))
    await asyncio.sleep(0)
    with pytest.raises(EngineError, match="in use"):
        await docker_rig.engine.forget(digest)
    await (await launching).destroy()
    await docker_rig.engine.forget(digest)
    assert await found(docker_rig, "code") == []


async def test_closing_takes_along_what_was_just_begun(docker_rig: Rig) -> None:
    docker_rig.engine.expect("cd" * 32)  # the fixture closes the engine, and looks for leftovers
    docker_rig.engine.expect("ef" * 32)
