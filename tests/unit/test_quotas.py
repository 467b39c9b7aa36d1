"""Concurrency counted in memory: reserved quotas, what is shared, what is provisioned."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.invocation import Invocation, Outcome
from sandbox.quotas import Quotas
from tests.fakes import function, turns

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion

RESERVED = "Function [ {} ] concurrency exceeded reserved quota {} MB"
SHARED = "Function [ {} ] concurrency exceeded region unreserved quota {} MB"


class Stage:
    """Quotas of a namespace of 1024 MB, with functions of 128 MB and their events."""

    def __init__(self, *functions: Function) -> None:
        self.generation = 0
        self.total = 1024
        self.asked = 0
        self.functions = {f.name: f for f in functions}
        self.quotas = Quotas(self, lambda _: self.total)
        self.events: dict[str, list[Invocation]] = {}

    def find(self, _namespace: str, name: str) -> Function | None:
        return self.functions.get(name)

    def in_namespace(self, _namespace: str) -> list[Function]:
        self.asked += 1
        return list(self.functions.values())

    def put(self, changed: Function) -> None:
        self.functions[changed.name] = changed
        self.generation += 1

    def begin(self, name: str, version: FunctionVersion | None = None) -> str | None:
        of = self.functions[name]
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        event = Invocation(of, version or of.latest, b"{}", "id", future)
        refusal = self.quotas.admit(event)
        if refusal is None:
            self.events.setdefault(name, []).append(event)
        return refusal

    async def end(self, name: str) -> None:
        self.events[name].pop().future.set_result(Outcome("id", 200, b""))
        await turns()

    async def end_all(self) -> None:
        for name, events in self.events.items():
            while events:
                await self.end(name)
        assert self.quotas._uses == {}
        assert set(self.quotas._charged.values()) <= {0}


def reserving(name: str, memory_mb: int | None) -> Function:
    return function(name).model_copy(update={"reserved_mb": memory_mb})


def published(name: str, provisioned: int, reserved_mb: int | None = None) -> Function:
    """A function whose version 1 has provisioned instances."""
    of = function(name)
    version = of.latest.model_copy(update={"version": "1"})
    more = {"provisioned": {"1": provisioned} if provisioned else {}, "reserved_mb": reserved_mb}
    return of.with_version(version).model_copy(update=more)


async def test_a_reserved_quota_lets_as_much_memory_begin_as_it_has() -> None:
    stage = Stage(reserving("mine", 300))
    assert [stage.begin("mine") for _ in range(3)] == [None, None, RESERVED.format("mine", 300)]
    await stage.end("mine")
    assert stage.begin("mine") is None
    await stage.end_all()


async def test_a_quota_of_0_refuses_every_event() -> None:
    stage = Stage(reserving("off", 0), published("off-too", 2, 0))
    assert stage.begin("off") == RESERVED.format("off", 0)
    two = stage.functions["off-too"]
    assert stage.begin("off-too", two.versions["1"]) == RESERVED.format("off-too", 0)
    await stage.end_all()


async def test_functions_without_a_quota_share_what_is_not_reserved() -> None:
    stage = Stage(reserving("mine", 640), function("a"), function("b"))
    begun = [stage.begin(name) for name in ("a", "b", "a", "b")]
    assert begun == [None, None, None, SHARED.format("b", 384)]
    assert stage.begin("mine") is None
    await stage.end("a")
    assert stage.begin("b") is None
    await stage.end_all()


async def test_a_quota_that_is_taken_away_has_its_events_count_with_the_others() -> None:
    stage = Stage(reserving("mine", 512), function("a"))
    assert [stage.begin("mine") for _ in range(4)] == [None] * 4
    stage.put(reserving("mine", None))
    stage.total = 512
    await stage.end("mine")
    assert stage.begin("a") is None
    assert stage.begin("a") == SHARED.format("a", 512)
    await stage.end_all()


async def test_provisioned_instances_count_whether_they_are_busy_or_not() -> None:
    stage = Stage(published("ready", 2), function("a"))
    stage.total = 512
    version = stage.functions["ready"].versions["1"]
    assert [stage.begin("a") for _ in range(3)] == [None, None, SHARED.format("a", 512)]
    assert [stage.begin("ready", version) for _ in range(2)] == [None, None]
    assert stage.begin("ready", version) == SHARED.format("ready", 512)
    assert stage.begin("ready") == SHARED.format("ready", 512)
    await stage.end("a")
    assert stage.begin("ready", version) is None
    await stage.end_all()


async def test_provisioned_instances_count_within_a_reserved_quota() -> None:
    stage = Stage(published("ready", 1, 256))
    assert stage.begin("ready") is None
    assert stage.begin("ready") == RESERVED.format("ready", 256)
    assert stage.begin("ready", stage.functions["ready"].versions["1"]) is None
    await stage.end_all()


async def test_a_change_of_what_is_provisioned_counts_for_events_under_way() -> None:
    stage = Stage(published("ready", 0))
    stage.total = 256
    version = stage.functions["ready"].versions["1"]
    assert stage.begin("ready", version) is None
    stage.put(published("ready", 2))
    assert stage.begin("ready", version) is None
    stage.put(published("ready", 0))
    await stage.end("ready")
    assert stage.begin("ready", version) is None
    assert stage.begin("ready", version) == SHARED.format("ready", 256)
    await stage.end_all()


async def test_events_of_a_deleted_function_count_until_they_end() -> None:
    stage = Stage(function("gone"), function("a"))
    stage.total = 256
    assert stage.begin("gone") is None
    del stage.functions["gone"]
    assert stage.begin("a") is None
    assert stage.begin("a") == SHARED.format("a", 256)
    await stage.end("gone")
    assert stage.begin("a") is None
    await stage.end_all()


async def test_a_namespace_is_worked_out_again_only_when_something_has_changed() -> None:
    stage = Stage(function("a"))
    for _ in range(3):
        stage.begin("a")
    assert stage.asked == 1
    stage.put(function("b"))
    stage.begin("a")
    stage.total = 2048
    stage.begin("a")
    assert stage.asked == 3
    assert stage.quotas.shares("default").shared == 2048
    await stage.end_all()
