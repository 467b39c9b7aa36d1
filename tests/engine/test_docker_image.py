"""The image of instances in a real engine: what is claimed of it, and which one a sandbox uses."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox.engine.docker import image as module
from tests.engine.rigs import open_rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.engine.base import EngineInfo
    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

#: Programs of one version that stand for a package.
SPEAKERS = {"findutils": "find", "diffutils": "diff", "procps": "free", "util-linux": "flock"}


def version_of(tool: str) -> str:
    """A line of shell that prints a tool's own word on its version."""
    if tool == "busybox":
        return "busybox 2>&1 | head -n 1"
    return f"{SPEAKERS.get(tool, tool)} --version 2>&1 | head -n 1"


def needs_labels(info: EngineInfo) -> None:
    if info.base != "stand-in" or not info.differences:
        pytest.skip("the image is not a stand-in that this version's scripts/images has made")


async def test_the_tools_are_those_that_health_names(docker_rig: Rig) -> None:
    info = docker_rig.engine.info
    needs_labels(info)
    assert info.note
    for difference in info.differences:
        tool, version = difference.split()[:2]
        if tool == "no":
            _, lines = await docker_rig.run(f"type -P {version} || echo none")
            assert lines == ["none"], difference
        else:
            _, lines = await docker_rig.run(version_of(tool))
            assert version in lines[0], difference


async def test_the_libraries_are_those_of_centos_wherever_that_is_claimed(docker_rig: Rig) -> None:
    assert docker_rig.engine.info.abi_parity
    _, lines = await docker_rig.run(
        "getconf GNU_LIBC_VERSION; cd /lib64; readlink libstdc++.so.6;"
        # The highest version of each family that the libraries give.
        " for name in 'libc.so.6 GLIBC_' 'libstdc++.so.6 GLIBCXX_3' 'libgcc_s.so.1 GCC_'; do"
        " set -- $name; tr -c '[:alnum:]_.' '\\n' <$1 | grep -E \"^$2[0-9.]+$\" | sort -uV |"
        " tail -n 1; done"
    )
    assert lines == [
        "glibc 2.17",
        "libstdc++.so.6.0.19",
        "GLIBC_2.17",
        "GLIBCXX_3.4.19",
        "GCC_4.8.0",
    ]


async def test_scripts_see_the_release_that_they_see_in_the_cloud(docker_rig: Rig) -> None:
    needs_labels(docker_rig.engine.info)
    _, lines = await docker_rig.run("cat /etc/redhat-release /etc/centos-release")
    assert lines == ["CentOS Linux release 7.6.1810 (Core) "] * 2


class Tags:
    """Names of our own for images that are there, and volumes; gone after the test."""

    def __init__(self, installation: str) -> None:
        self._client: Any = docker.APIClient(**kwargs_from_env())
        self.repository = f"scf-sandbox/{installation}"
        self._volume = f"{installation}-build"

    def set(self, tag: str, image: str) -> str:
        self._client.tag(image, self.repository, tag)
        return f"{self.repository}:{tag}"

    def image_of(self, container: str) -> str:
        found: str = self._client.inspect_container(container)["Image"]
        return found

    def other(self, image: str) -> str:
        """An image with the same content and another id."""
        made = self._client.create_container(image, command=["true"])
        try:
            found: str = self._client.commit(made["Id"], changes=["LABEL other=yes"])["Id"]
        finally:
            self._client.remove_container(made["Id"])
        return found

    def progress(self, text: str) -> None:
        labels = {"scf-sandbox.role": "image-build", "scf-sandbox.progress": text}
        self._client.create_volume(self._volume, labels=labels)

    def close(self) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self._client.remove_volume(self._volume)
        for found in self._client.images(self.repository):
            for name in found["RepoTags"]:
                self._client.remove_image(name)
        self._client.close()


@pytest.fixture
def tags(installation: str) -> Iterator[Tags]:
    tags = Tags(installation)
    yield tags
    tags.close()


async def image_of_next(rig: Rig, tags: Tags) -> str:
    container, _ = await rig.launch("true")
    found = tags.image_of(container.container_id)
    await container.destroy()
    return found


async def test_a_tag_that_is_set_anew_changes_nothing_under_a_running_sandbox(
    tags: Tags, tmp_path: Path, installation: str, docker_rig: Rig
) -> None:
    base = docker_rig.settings.instance_image
    name = tags.set("latest", base)
    other = tags.other(base)
    tags.set("other", other)
    async with open_rig("docker", tmp_path / "b", installation + "-b", instance_image=name) as rig:
        before = await image_of_next(rig, tags)
        tags.set("latest", other)
        assert await image_of_next(rig, tags) == before != other
    async with open_rig("docker", tmp_path / "c", installation + "-c", instance_image=name) as rig:
        assert await image_of_next(rig, tags) == other


async def test_the_full_image_is_used_by_new_instances_once_it_is_there(
    tags: Tags, tmp_path: Path, installation: str, docker_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    base = docker_rig.settings.instance_image
    name = tags.set("quick-1", base)
    full = tags.other(base)
    async with open_rig("docker", tmp_path / "b", installation + "-b", instance_image=name) as rig:
        running, _ = await rig.launch("true")
        tags.progress("7 of 20")
        # Another build may be under way on this engine and say something else first.
        await eventually(lambda: rig.engine.info.coming)
        before = tags.image_of(running.container_id)
        tags.set("full-1", full)
        await eventually(lambda: rig.engine.info.image == f"{tags.repository}:full-1")
        assert await image_of_next(rig, tags) == full
        assert tags.image_of(running.container_id) == before
        await running.destroy()
