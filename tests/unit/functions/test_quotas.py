"""Concurrency counted in memory: reserved quotas, what is shared, what is provisioned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.functions.quotas import Demand, Quotas
from tests.support.functions import function

if TYPE_CHECKING:
    from sandbox.functions.model import Function, FunctionVersion

RESERVED = "Function [ {} ] concurrency exceeded reserved quota {} MB"
SHARED = "Function [ {} ] concurrency exceeded region unreserved quota {} MB"


class Stage:
    """Quotas of a namespace of 1024 MB, with functions of 128 MB and their events."""

    def __init__(self, *functions: Function) -> None:
        self.generation = 0
        self.total = 1024
        self.capacity_mb = 10_000
        self.asked = 0
        self.functions = {f.name: f for f in functions}
        self.quotas = Quotas(self, lambda _: self.total, self)
        self.events: list[Demand] = []

    def find(self, _namespace: str, name: str) -> Function | None:
        return self.functions.get(name)

    def in_namespace(self, _namespace: str) -> list[Function]:
        self.asked += 1
        return list(self.functions.values())

    def demands(self, _namespace: str) -> list[Demand]:
        return self.events

    def put(self, changed: Function) -> None:
        self.functions[changed.name] = changed
        self.generation += 1

    def begin(self, name: str, version: FunctionVersion | None = None) -> str | None:
        of = self.functions[name]
        version = version or of.latest
        refusal = self.quotas.refusal(of, version)
        if refusal is None:
            self.events.append(Demand(name, version.version, version.config.memory_mb, 1))
        return refusal

    def end(self, name: str) -> None:
        self.events.remove(next(event for event in self.events if event.function == name))


def reserving(name: str, memory_mb: int | None) -> Function:
    return function(name).model_copy(update={"reserved_mb": memory_mb})


def published(name: str, provisioned: int, reserved_mb: int | None = None) -> Function:
    """A function whose version 1 has provisioned instances."""
    of = function(name)
    version = of.latest.model_copy(update={"version": "1"})
    more = {"provisioned": {"1": provisioned} if provisioned else {}, "reserved_mb": reserved_mb}
    return of.with_version(version).model_copy(update=more)


def test_a_reserved_quota_lets_as_much_memory_begin_as_it_has() -> None:
    stage = Stage(reserving("mine", 300))
    assert [stage.begin("mine") for _ in range(3)] == [None, None, RESERVED.format("mine", 300)]
    stage.end("mine")
    assert stage.begin("mine") is None


def test_a_quota_of_0_refuses_every_event() -> None:
    stage = Stage(reserving("off", 0), published("off-too", 2, 0))
    assert stage.begin("off") == RESERVED.format("off", 0)
    two = stage.functions["off-too"]
    assert stage.begin("off-too", two.versions["1"]) == RESERVED.format("off-too", 0)


def test_functions_without_a_quota_share_what_is_not_reserved() -> None:
    stage = Stage(reserving("mine", 640), function("a"), function("b"))
    begun = [stage.begin(name) for name in ("a", "b", "a", "b")]
    assert begun == [None, None, None, SHARED.format("b", 384)]
    assert stage.begin("mine") is None
    stage.end("a")
    assert stage.begin("b") is None


def test_a_quota_that_is_taken_away_has_its_events_count_with_the_others() -> None:
    stage = Stage(reserving("mine", 512), function("a"))
    assert [stage.begin("mine") for _ in range(4)] == [None] * 4
    stage.put(reserving("mine", None))
    stage.total = 512
    stage.end("mine")
    assert stage.begin("a") is None
    assert stage.begin("a") == SHARED.format("a", 512)


def test_provisioned_instances_count_whether_they_are_busy_or_not() -> None:
    stage = Stage(published("ready", 2), function("a"))
    stage.total = 512
    version = stage.functions["ready"].versions["1"]
    assert [stage.begin("a") for _ in range(3)] == [None, None, SHARED.format("a", 512)]
    assert [stage.begin("ready", version) for _ in range(2)] == [None, None]
    assert stage.begin("ready", version) == SHARED.format("ready", 512)
    assert stage.begin("ready") == SHARED.format("ready", 512)
    stage.end("a")
    assert stage.begin("ready", version) is None


def test_provisioned_instances_count_within_a_reserved_quota() -> None:
    stage = Stage(published("ready", 1, 256))
    assert stage.begin("ready") is None
    assert stage.begin("ready") == RESERVED.format("ready", 256)
    assert stage.begin("ready", stage.functions["ready"].versions["1"]) is None


def test_a_change_of_what_is_provisioned_counts_for_events_under_way() -> None:
    stage = Stage(published("ready", 0))
    stage.total = 256
    version = stage.functions["ready"].versions["1"]
    assert stage.begin("ready", version) is None
    stage.put(published("ready", 2))
    assert stage.begin("ready", version) is None
    stage.put(published("ready", 0))
    stage.end("ready")
    assert stage.begin("ready", version) is None
    assert stage.begin("ready", version) == SHARED.format("ready", 256)


def test_events_of_a_deleted_function_count_until_they_end() -> None:
    stage = Stage(function("gone"), function("a"))
    stage.total = 256
    assert stage.begin("gone") is None
    del stage.functions["gone"]
    assert stage.begin("a") is None
    assert stage.begin("a") == SHARED.format("a", 256)
    stage.end("gone")
    assert stage.begin("a") is None


def test_a_namespace_is_worked_out_again_only_when_something_has_changed() -> None:
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


def test_events_are_not_counted_where_the_machine_cannot_reach_the_quota() -> None:
    stage = Stage(function("a"))
    stage.capacity_mb = 1024
    assert [stage.begin("a") for _ in range(9)] == [None] * 9
    stage.put(function("b").model_copy(update={"reserved_mb": 128}))
    assert stage.begin("a") == SHARED.format("a", 896)
