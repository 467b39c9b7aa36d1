"""What an engine makes of packages: once for all who ask, and dropped when nobody needs it."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.engine.artifacts import Artifacts
from sandbox.errors import EngineError, EngineErrorKind

A, B = "a" * 64, "b" * 64


class Shelf(Artifacts[str]):
    """Makes names in a set; ``failures`` and ``refusals`` are raised first, one each."""

    def __init__(self) -> None:
        super().__init__()
        self.there: set[str] = set()
        self.made: list[str] = []
        self.failures: list[Exception] = []
        self.refusals: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def _place(self, key: str) -> str:
        return f"at {key[:8]}"

    async def _make_code(self, digest: str) -> None:
        await self._make_layers(digest, (digest,))

    async def _make_layers(self, key: str, digests: tuple[str, ...]) -> None:
        self.made.append(key)
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.there.add(key)

    async def _drop(self, key: str) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.there.discard(key)


async def test_many_who_ask_at_a_time_get_one() -> None:
    shelf = Shelf()
    assert await asyncio.gather(*(shelf.code(A) for _ in range(3))) == ["at aaaaaaaa"] * 3
    await shelf.code(A)
    assert shelf.made == [A]


async def test_one_who_goes_away_does_not_end_the_making_for_others() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    first = asyncio.ensure_future(shelf.code(A))
    second = asyncio.ensure_future(shelf.code(A))
    await asyncio.sleep(0)
    first.cancel()
    shelf.gate.set()
    assert await second == "at aaaaaaaa"
    assert shelf.made == [A]


@pytest.mark.parametrize("error", [EngineError("no room"), KeyError("a bug")])
async def test_what_could_not_be_made_fails_for_all_and_is_made_anew(error: Exception) -> None:
    shelf = Shelf()
    shelf.failures = [error]
    results = await asyncio.gather(shelf.code(A), shelf.code(A), return_exceptions=True)
    assert list(results) == [error, error]
    assert await shelf.code(A) == "at aaaaaaaa"
    assert shelf.made == [A, A]


async def test_the_order_of_layers_makes_a_difference() -> None:
    shelf = Shelf()
    assert await shelf.layers((A, B)) != await shelf.layers((B, A))
    assert await shelf.layers((A, B)) == await shelf.layers((A, B))
    assert len(shelf.made) == 2


async def test_a_forgotten_package_takes_along_what_it_was_merged_into() -> None:
    shelf = Shelf()
    for wanted in (shelf.code(A), shelf.code(B), shelf.layers((A, B))):
        await wanted
    await shelf.forget(A)
    assert shelf.there == {B}
    await shelf.layers((A, B))
    assert len(shelf.made) == 4


async def test_what_is_held_is_not_dropped() -> None:
    shelf = Shelf()
    await shelf.code(A)
    shelf.hold(A, B)
    with shelf.held(A):
        pass
    with pytest.raises(EngineError, match="in use") as caught:
        await shelf.forget(A)
    assert caught.value.kind is EngineErrorKind.IN_USE
    assert shelf.there == {A}
    shelf.let_go(A, B)
    await shelf.forget(A)
    assert shelf.there == set()


async def test_what_is_being_made_is_dropped_once_it_is_there() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    making = asyncio.ensure_future(shelf.code(A))
    await asyncio.sleep(0)
    forgetting = asyncio.ensure_future(shelf.forget(A))
    await asyncio.sleep(0)
    shelf.gate.set()
    await asyncio.gather(making, forgetting)
    assert shelf.there == set()


async def test_what_could_not_be_dropped_is_still_there_for_who_asks() -> None:
    shelf = Shelf()
    await shelf.code(A)
    shelf.refusals = [EngineError("in use", EngineErrorKind.IN_USE)]
    with pytest.raises(EngineError, match="in use"):
        await shelf.forget(A)
    await shelf.code(A)
    assert shelf.made == [A]
    await shelf.forget(A)
    assert shelf.there == set()
