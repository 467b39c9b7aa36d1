"""The image of instances: held by its id, told of by its labels, changed with a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from sandbox.engine.base import EngineInfo
from sandbox.engine.docker import image as module
from sandbox.engine.docker.client import ImageFacts
from sandbox.engine.docker.image import InstanceImage, fuller_of, system_of
from sandbox.engine.docker.options import ContainerOptions
from sandbox.errors import EngineError, EngineErrorKind
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient

QUICK, FULL = "scf-sandbox/centos7:quick-ab12", "scf-sandbox/centos7:full-ab12"
STAND_IN = {
    "scf-sandbox.base": "stand-in",
    "scf-sandbox.variant": "quick",
    "scf-sandbox.differences": "bash 5.2.15 (CentOS 7.6: 4.2.46); no python (CentOS 7.6: 2.7.5)",
}
ABOUT = EngineInfo("docker", "1", "", "unknown", abi_parity=False, details={"cgroup": "2"})


class FakeEngine:
    """Images by name, builds by what they say, and the images of the containers that it made."""

    def __init__(self) -> None:
        self.images = {QUICK: ImageFacts("sha256:1", (QUICK,), STAND_IN)}
        self.builds: list[dict[str, str]] = []
        self.made: list[str] = []
        self.away = False

    async def image(self, name: str) -> ImageFacts:
        if self.away:
            raise EngineError("no answer", EngineErrorKind.UNREACHABLE)
        if name not in self.images:
            raise EngineError(f"no {name}", EngineErrorKind.NO_IMAGE)
        return self.images[name]

    async def volume_labels(self, *labels: str) -> list[dict[str, str]]:
        assert labels == ("scf-sandbox.role=image-build",)
        return self.builds

    async def create_container(self, options: ContainerOptions) -> str:
        if options.image not in {found.id for found in self.images.values()}:
            raise EngineError(f"no {options.image}", EngineErrorKind.NO_IMAGE)
        self.made.append(options.image)
        return "container"

    def add_full(self) -> None:
        labels = {**STAND_IN, "scf-sandbox.variant": "full"}
        self.images[FULL] = ImageFacts("sha256:2", (FULL,), labels)


class Holder:
    """An image that is open, and the last that was told of it."""

    def __init__(self, name: str = QUICK) -> None:
        self.engine = FakeEngine()
        self.image = InstanceImage(cast("DockerClient", self.engine), name)
        self.info = ABOUT
        self.told = 0

    async def open(self) -> None:
        await self.image.open(ABOUT, self.hear)

    def hear(self, info: EngineInfo) -> None:
        self.info = info
        self.told += 1

    async def made(self) -> str:
        """The image of a container that is made now."""
        await self.image.create(ContainerOptions(image="", command=(), labels={}))
        return self.engine.made[-1]


async def test_containers_are_made_of_the_id_that_the_name_had_at_the_start() -> None:
    holder = Holder()
    await holder.open()
    first = holder.engine.images[QUICK]
    holder.engine.images["old"] = first
    holder.engine.images[QUICK] = ImageFacts("sha256:9", (QUICK,), STAND_IN)
    assert await holder.made() == "sha256:1"
    await holder.image.close()


async def test_an_image_that_is_gone_is_looked_up_again_by_its_name() -> None:
    holder = Holder()
    await holder.open()
    labels = {"scf-sandbox.base": "centos"}
    holder.engine.images[QUICK] = ImageFacts("sha256:9", (QUICK,), labels)
    assert await holder.made() == "sha256:9"
    assert holder.info.os_parity
    del holder.engine.images[QUICK]
    with pytest.raises(EngineError) as refused:
        await holder.made()
    assert refused.value.kind is EngineErrorKind.NO_IMAGE
    await holder.image.close()


async def test_a_start_without_the_image_is_refused() -> None:
    holder = Holder("nothing")
    with pytest.raises(EngineError) as refused:
        await holder.open()
    assert refused.value.kind is EngineErrorKind.NO_IMAGE


async def test_the_full_variant_is_taken_at_once_where_it_is_there() -> None:
    holder = Holder()
    holder.engine.add_full()
    await holder.open()
    assert (holder.image.id, holder.info.image) == ("sha256:2", FULL)
    assert await holder.made() == "sha256:2"
    await holder.image.close()


async def test_the_full_variant_is_taken_when_its_build_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.001)
    holder = Holder()
    await holder.open()
    assert (holder.info.image, holder.info.coming) == (QUICK, "")
    holder.engine.builds = [{"scf-sandbox.progress": "7 of 20 steps at 12:00 UTC"}]
    await eventually(lambda: holder.info.coming == "7 of 20 steps at 12:00 UTC")
    holder.engine.away = True
    assert await holder.made() == "sha256:1"
    holder.engine.add_full()
    holder.engine.away = False
    await eventually(lambda: holder.info.image == FULL)
    assert await holder.made() == "sha256:2"
    assert holder.info.coming == ""
    assert holder.info.details == {"cgroup": "2", "image": "sha256:2"}
    await holder.image.close()


async def test_what_has_not_changed_is_told_once() -> None:
    holder = Holder()
    await holder.open()
    told = holder.told
    await holder.image.look()
    await holder.image.look()
    assert holder.told == told
    await holder.image.close()


@pytest.mark.parametrize(
    ("name", "tags", "fuller"),
    [
        (QUICK, (QUICK,), FULL),
        ("scf-sandbox/centos7", ("scf-sandbox/centos7:latest", QUICK), FULL),
        ("host:5000/mine:quick-1", (), "host:5000/mine:full-1"),
        (FULL, (FULL,), ""),
        ("scf-sandbox/centos7", ("scf-sandbox/centos7:latest",), ""),
        ("sha256:1", (), ""),
    ],
)
def test_only_a_quick_image_has_a_fuller_one(name: str, tags: tuple[str, ...], fuller: str) -> None:
    assert fuller_of(name, tags) == fuller


def test_a_stand_in_has_the_interface_and_other_tools_which_are_named() -> None:
    system = system_of(STAND_IN, QUICK)
    assert (system.abi_parity, system.tools_parity) == (True, False)
    assert system.differences == (
        "bash 5.2.15 (CentOS 7.6: 4.2.46)",
        "no python (CentOS 7.6: 2.7.5)",
    )
    assert "bash 5.2.15" in system.note
    assert "quick" in system.note


def test_centos_has_both_and_needs_no_note() -> None:
    system = system_of({"scf-sandbox.base": "centos"}, "mine")
    assert (system.abi_parity, system.tools_parity, system.note) == (True, True, "")


@pytest.mark.parametrize("labels", [{}, {"scf-sandbox.base": "custom"}])
def test_nothing_is_claimed_of_an_image_that_nobody_knows(labels: dict[str, str]) -> None:
    system = system_of(labels, "mine:1")
    assert (system.abi_parity, system.tools_parity) == (False, False)
    assert "mine:1, which is not known to be CentOS 7.6" in system.note
