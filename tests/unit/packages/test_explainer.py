"""Explanations of starts that failed: from stored packages, once, and never late."""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sandbox.packages.explainer import KEPT, StartExplainer
from sandbox.packages.package import PackageStore
from tests.support.zips import BOOTSTRAP, Item, file, make_zip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sandbox.packages.package import Package

NO_NODE = file("bootstrap", b"#!/opt/bin/node\n", 0o755)


@dataclass(frozen=True)
class Spec:
    code_digest: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class End:
    code: int | None = 127
    errno: int = 0
    stage: str = ""


REFUSED = End(None, errno.ENOENT, "exec")


class Store(PackageStore):
    """Counts its openings; they wait while ``gate`` is closed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened = 0
        self.gate = threading.Event()
        self.gate.set()

    def open(self, digest: str) -> Package:
        self.opened += 1
        assert self.gate.wait(10)
        return super().open(digest)

    def put(self, *items: Item) -> str:
        return self.save(make_zip(*items)).digest


class Desk:
    def __init__(self, directory: Path) -> None:
        self.store = Store(directory)
        self.explainer = StartExplainer(self.store)

    async def why(self, spec: Spec, end: End = REFUSED, output: str = "") -> str:
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.explainer.explain(spec, end, output, told.set_result)
        return await asyncio.wait_for(told, 10)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.gate.set()
    await desk.explainer.close()


@pytest.fixture
def shut(desk: Desk) -> Iterator[Store]:
    desk.store.gate.clear()
    yield desk.store
    desk.store.gate.set()


async def test_a_refusal_is_explained_from_package_and_layers(desk: Desk) -> None:
    digest = desk.store.put(NO_NODE)
    text = await desk.why(Spec(digest))
    assert "interpreter /opt/bin/node" in text
    assert "CentOS 7.6" in text
    layer = desk.store.put(file("bin/node", b"\x7fELF", 0o755))
    assert "interpreter" not in await desk.why(Spec(digest, (layer,)))


async def test_the_system_is_named_that_packages_run_in(desk: Desk) -> None:
    desk.explainer.runs_in("this machine")
    assert "and this machine" in await desk.why(Spec(desk.store.put(NO_NODE)))


async def test_output_is_explained_where_it_is_the_systems(desk: Desk) -> None:
    spec = Spec(desk.store.put(BOOTSTRAP))
    output = "./x: version `GLIBC_2.34' not found (required by ./x)"
    assert "glibc 2.17" in await desk.why(spec, End(1), output)
    assert await desk.why(spec, End(127), "jq: command not found") == ""


async def test_an_end_that_says_all_is_told_at_once_and_without_the_package(desk: Desk) -> None:
    told: list[str] = []
    desk.explainer.explain(Spec("0" * 64), End(1), "Traceback", told.append)
    assert told == [""]
    assert desk.store.opened == 0


async def test_a_question_is_looked_into_once(desk: Desk, shut: Store) -> None:
    spec = Spec(desk.store.put(NO_NODE))
    answers = [asyncio.create_task(desk.why(spec)) for _ in range(20)]
    await asyncio.sleep(0)
    shut.gate.set()
    assert len(set(await asyncio.gather(*answers))) == 1
    told: list[str] = []
    desk.explainer.explain(spec, REFUSED, "other output", told.append)
    assert "node" in told[0]
    assert desk.store.opened == 1


async def test_explanations_are_kept_in_bounded_number(desk: Desk) -> None:
    spec = Spec(desk.store.put(NO_NODE))
    for number in range(KEPT + 1):
        await desk.why(spec, End(127), f"jq: command not found {number}")
    seen = desk.store.opened
    await desk.why(spec, End(127), f"jq: command not found {KEPT}")
    assert desk.store.opened == seen
    await desk.why(spec, End(127), "jq: command not found 0")
    assert desk.store.opened == seen + 1


async def test_a_package_that_is_gone_is_explained_by_nothing(desk: Desk) -> None:
    assert await desk.why(Spec("0" * 64)) == ""


async def test_a_fault_of_ours_keeps_nobody_waiting(desk: Desk) -> None:
    assert await desk.why(Spec("no digest")) == ""


async def test_an_answer_does_not_wait_for_an_explanation_without_end(
    desk: Desk, shut: Store
) -> None:
    desk.explainer = StartExplainer(shut, patience_s=0.01)
    assert await desk.why(Spec(desk.store.put(NO_NODE))) == ""
    shut.gate.set()
    await desk.explainer.close()


async def test_nobody_is_told_after_the_end(desk: Desk, shut: Store) -> None:
    told: list[str] = []
    desk.explainer.explain(Spec(desk.store.put(NO_NODE)), REFUSED, "", told.append)
    await desk.explainer.close()
    assert told == []
