"""Publishing, against a host and a store that can be held still, or fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.errors import EngineError, SandboxError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.model import FunctionStatus, instance_key
from sandbox.functions.versions import VersionService
from tests.support.waiting import eventually
from tests.support.zips import package
from tests.unit.functions.function_fakes import FunctionBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FunctionBench]:
    bench = FunctionBench(tmp_path)
    yield bench
    bench.host.gate.set()
    await bench.service.close()


def versions_of(bench: FunctionBench) -> VersionService:
    return VersionService(bench.registry, bench.service, bench.host, bench.clock)


async def test_a_version_whose_publishing_a_crash_interrupted_becomes_active(
    bench: FunctionBench,
) -> None:
    await bench.active()
    bench.host.gate.clear()
    version = await versions_of(bench).publish("default", "fn")
    assert version.status is FunctionStatus.PUBLISHING
    bench.host.gate.set()
    await bench.restart()
    function = await bench.settled()
    assert function.versions["1"].status is FunctionStatus.ACTIVE
    assert function.versions["1"].invocable


async def test_a_crash_during_an_update_with_publish_loses_neither(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.gate.clear()
    await bench.service.update_code("default", "fn", package("new"), publish=True)
    await bench.restart()
    bench.host.gate.set()
    await eventually(lambda: "1" in bench.service.get("default", "fn").versions)
    function = await bench.settled()
    assert function.versions["1"].code == function.latest.code
    assert function.versions["1"].status is FunctionStatus.ACTIVE


async def test_instances_and_code_of_a_published_version_are_kept_through_updates(
    bench: FunctionBench,
) -> None:
    old = await bench.active(text="old")
    await versions_of(bench).publish("default", "fn")
    before = await bench.settled()
    await bench.service.update_code("default", "fn", package("new"))
    after = await bench.settled()
    await bench.service.rollout.drain()
    await bench.service.code.drain()
    assert after.versions["1"] == before.versions["1"]
    assert instance_key(after, after.versions["1"]) in bench.host.retired[-1][2]
    assert old.latest.code is not None
    assert old.latest.code.digest in bench.packages.digests()
    await versions_of(bench).delete("default", "fn", "1")
    await bench.service.code.drain()
    assert old.latest.code.digest not in bench.packages.digests()
    assert bench.host.killed == []


async def test_only_what_is_active_is_published(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.errors = [EngineError("no space left")]
    await bench.service.update_config("default", "fn", ConfigChange(timeout_s=9))
    await bench.settled()
    with pytest.raises(SandboxError) as caught:
        await versions_of(bench).publish("default", "fn")
    assert caught.value.code == "FailedOperation.PublishVersion"


async def test_latest_can_change_while_a_version_is_published(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.gate.clear()
    await versions_of(bench).publish("default", "fn")
    await bench.service.update_config("default", "fn", ConfigChange(timeout_s=9))
    bench.host.gate.set()
    function = await bench.settled()
    assert {v.status for v in function.versions.values()} == {FunctionStatus.ACTIVE}
    assert (function.latest.config.timeout_s, function.versions["1"].config.timeout_s) == (9, 3)


async def test_a_version_that_is_deleted_by_force_is_killed(bench: FunctionBench) -> None:
    await bench.active()
    await versions_of(bench).publish("default", "fn")
    await bench.settled()
    await versions_of(bench).delete("default", "fn", "1", force=True)
    assert bench.host.killed == [("default", "fn", "1")]


async def test_a_version_that_is_being_published_is_not_deleted(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.gate.clear()
    versions = versions_of(bench)
    await versions.publish("default", "fn")
    with pytest.raises(SandboxError) as caught:
        await versions.delete("default", "fn", "1")
    assert caught.value.code == "FailedOperation.FunctionStatusError"
