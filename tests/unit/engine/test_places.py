"""The pool of places on an engine that only pretends: when they are made, let and given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.engine.base import Exit, RuntimeAccess
from sandbox.engine.docker import places as module
from sandbox.engine.docker.image import InstanceImage
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.networks import InstanceNetwork
from sandbox.engine.docker.places import Place, Places
from sandbox.engine.init_links import InitLinks
from sandbox.errors import EngineError
from sandbox.settings import Settings
from tests.support.waiting import eventually, turns

if TYPE_CHECKING:
    from sandbox.engine.base import Listen
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.options import ContainerOptions
    from sandbox.engine.gauge import Measured
    from sandbox.engine.init_link import InitLink

EXIT = Exit(None, reason="lost")


class FakeEngine:
    """Places that dial in as soon as they are started; ``refusals`` come first."""

    def __init__(self) -> None:
        self.links = Links()
        self.made: list[ContainerOptions] = []
        self.there: set[str] = set()
        self.refusals: list[EngineError] = []
        self.asked = 0
        self.slow = asyncio.Event()
        self.slow.set()

    async def create_container(self, options: ContainerOptions) -> str:
        self.asked += 1
        await asyncio.shield(asyncio.ensure_future(self.slow.wait()))
        if self.refusals:
            raise self.refusals.pop(0)
        self.made.append(options)
        self.there.add(options.name)
        return options.name

    async def start_container(self, _container: str) -> None:
        self.links.latest.stands_by.set_result(None)

    async def remove_container(self, container: str) -> None:
        self.there.discard(container)


class Links(InitLinks):
    """Remembers who is expected."""

    latest: InitLink

    def expect(self, name: str, link: Measured) -> str:
        self.latest = cast("InitLink", link)
        return super().expect(name, link)


class Heart:
    """Places, and the engine below them."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        client = cast("DockerClient", self.engine)
        settings = Settings(network_range="10.1.0.0/24")
        network = InstanceNetwork(client, Labels("test"), settings)
        image = InstanceImage(client, settings.instance_image)
        self.places = Places(client, Labels("test"), network, image, settings)

    def open(self, most: int) -> None:
        self.places.open(RuntimeAccess(cast("Listen", None), self.engine.links), most)

    async def ready(self, most: int) -> None:
        self.open(most)
        await eventually(lambda: self.places.free == most)

    def let(self) -> Place:
        place = self.places.let()
        assert place is not None
        return place


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QUIET_S", "PAUSE_S", "RETRY_S"):
        monkeypatch.setattr(module, name, 0.001)


@pytest.fixture
def heart() -> Heart:
    return Heart()


async def test_so_many_are_made_as_are_wanted_each_with_a_name_of_its_own(heart: Heart) -> None:
    await heart.ready(3)
    assert len(heart.engine.made) == 3
    assert len({options.environment["SCF_RUNTIME_API"] for options in heart.engine.made}) == 3
    assert heart.engine.made[0].sysctls == {"net.ipv4.tcp_max_tw_buckets": "0"}
    await heart.places.close()
    assert heart.engine.there == set()


async def test_none_is_made_while_an_instance_starts(heart: Heart) -> None:
    with heart.places.starting():
        heart.open(1)
        for _ in range(20):
            await asyncio.sleep(module.PAUSE_S)  # the pool's own pause: its loop has turned
        assert heart.engine.made == []
    await eventually(lambda: heart.places.free == 1)
    await heart.places.close()


async def test_none_is_made_where_none_is_wanted(heart: Heart) -> None:
    heart.open(0)
    assert heart.places.let() is None
    await heart.places.close()
    assert heart.engine.made == []


async def test_an_engine_that_refuses_is_asked_again(heart: Heart) -> None:
    heart.engine.refusals = [EngineError("it is tired")] * 2
    await heart.ready(1)
    await heart.places.close()


async def test_they_are_let_in_turn(heart: Heart) -> None:
    await heart.ready(2)
    first, second = heart.let(), heart.let()
    assert heart.places.let() is None
    heart.places.give_back(second, gone=True)
    heart.places.give_back(first, gone=True)
    assert [heart.let(), heart.let()] == [second, first]
    await heart.places.close()


async def test_one_whose_tenant_may_still_be_there_is_never_let_again(heart: Heart) -> None:
    await heart.ready(1)
    heart.places.give_back(heart.let(), gone=False)
    assert heart.places.let() is None
    assert len(heart.engine.there) == 1
    await heart.places.close()
    assert heart.engine.there == set()


async def test_a_lost_one_that_is_let_is_removed_when_its_tenant_has_left(heart: Heart) -> None:
    await heart.ready(1)
    place = heart.let()
    place.ended(EXIT)
    assert place.container_id in heart.engine.there
    heart.places.give_back(place, gone=True)
    await eventually(lambda: place.container_id not in heart.engine.there)
    await eventually(lambda: heart.places.free == 1)
    assert heart.let() is not place
    await heart.places.close()


async def test_a_lost_one_that_is_free_is_replaced(heart: Heart) -> None:
    await heart.ready(1)
    [name] = heart.engine.there
    heart.places._free[0].ended(EXIT)
    assert heart.places.let() is None
    await eventually(lambda: heart.places.free == 1)
    assert name not in heart.engine.there
    await heart.places.close()


async def test_one_that_is_being_made_at_the_end_is_not_left_behind(heart: Heart) -> None:
    heart.engine.slow = asyncio.Event()
    heart.open(1)
    await eventually(lambda: heart.engine.asked)
    closing = asyncio.ensure_future(heart.places.close())
    await turns()
    heart.engine.slow.set()
    await closing
    assert heart.engine.made
    assert heart.engine.there == set()
