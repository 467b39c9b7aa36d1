"""Deleting, restarting, and the packages that come and go with functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from sandbox.errors import EngineError, NotFoundError, PlatformError, RequestError
from sandbox.functions.listing import Query
from sandbox.functions.model import FunctionConfig, FunctionStatus, instance_keys
from sandbox.packages.keeper import CodeKeeper
from sandbox.packages.package import digest_of
from sandbox.tasks import TaskOwner
from tests.support.waiting import eventually, turns
from tests.support.zips import BOOTSTRAP, file, make_zip, package
from tests.unit.functions.function_fakes import FunctionBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FunctionBench]:
    bench = FunctionBench(tmp_path)
    await bench.service.open()
    yield bench
    bench.host.gate.set()
    bench.repository.gate.set()
    await bench.service.close()


# ---------------------------------------------------------------- deleting


async def test_a_deleted_function_is_gone_with_its_instances_and_code(bench: FunctionBench) -> None:
    await bench.active()
    await bench.service.delete("default", "fn")
    with pytest.raises(NotFoundError):
        bench.service.get("default", "fn")
    assert bench.repository.stored() is None
    await eventually(lambda: bench.packages.digests() == frozenset())
    assert bench.host.retired[-1] == ("default", "fn", frozenset())
    assert bench.host.forgotten == [digest_of(package())]


async def test_of_deletions_at_once_one_wins(bench: FunctionBench) -> None:
    await bench.active()
    results = await asyncio.gather(
        *(bench.service.delete("default", "fn") for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, NotFoundError) for result in results) == 3


@pytest.mark.parametrize("status", [FunctionStatus.CREATING, FunctionStatus.UPDATING])
async def test_a_function_in_transition_can_be_deleted(
    bench: FunctionBench, status: FunctionStatus
) -> None:
    if status is FunctionStatus.UPDATING:
        await bench.active()
    bench.host.gate.clear()
    if status is FunctionStatus.UPDATING:
        await bench.service.update_code("default", "fn", package("new"))
    else:
        await bench.create()
    assert bench.latest().status is status
    await bench.service.delete("default", "fn")
    prepared = digest_of(package("new" if status is FunctionStatus.UPDATING else ""))
    assert prepared not in bench.host.forgotten  # it is being prepared: not under its feet
    bench.host.gate.set()
    await eventually(lambda: bench.packages.digests() == frozenset())
    assert bench.repository.stored() is None
    assert bench.host.retired[-1] == ("default", "fn", frozenset())


async def test_a_function_made_anew_is_not_mistaken_for_the_old_one(bench: FunctionBench) -> None:
    bench.host.gate.clear()
    old = await bench.create()
    await bench.service.delete("default", "fn")
    new = await bench.create()
    assert not instance_keys(old) & instance_keys(new)
    bench.host.errors.append(EngineError("meant for the old one"))
    bench.host.gate.set()
    settled = await bench.settled()
    assert settled.function_id == new.function_id
    assert settled.latest.status is FunctionStatus.ACTIVE
    await eventually(lambda: len(bench.host.retired) >= 3)
    assert bench.host.retired[-1][2] == instance_keys(new)
    assert bench.packages.digests() == {digest_of(package())}


async def test_code_that_another_function_uses_stays(bench: FunctionBench) -> None:
    await bench.active("f1")
    await bench.active("f2")
    await bench.service.delete("default", "f1")
    await eventually(lambda: bench.host.retired[-1][1] == "f1")
    assert bench.packages.digests() == {digest_of(package())}
    await bench.service.delete("default", "f2")
    await eventually(lambda: bench.packages.digests() == frozenset())


async def test_a_function_whose_instances_cannot_be_ended_is_deleted_all_the_same(
    bench: FunctionBench,
) -> None:
    await bench.active()
    bench.host.retire_errors.append(EngineError("no answer"))
    await bench.service.delete("default", "fn")
    await eventually(lambda: bench.packages.digests() == frozenset())


# ---------------------------------------------------------------- packages


async def test_the_host_hears_of_code_before_it_is_checked(bench: FunctionBench) -> None:
    await bench.active()
    assert bench.host.expected == bench.host.taken == [digest_of(package())]


async def test_what_the_host_began_for_code_that_is_refused_is_taken_back(
    bench: FunctionBench,
) -> None:
    with pytest.raises(RequestError):
        await bench.service.create("default", "fn", b"not a zip", FunctionConfig())
    assert bench.host.expected == [digest_of(b"not a zip")]
    assert bench.host.taken == []
    await eventually(lambda: bench.host.forgotten == [digest_of(b"not a zip")])


async def test_what_was_guessed_to_take_a_zip_is_logged(bench: FunctionBench) -> None:
    """Layers, and whoever asks the cloud API, have no other place to see it."""
    data = make_zip(BOOTSTRAP, file("a"), file("./a"))
    with capture_logs() as told:
        await bench.service.create("default", "fn", data, FunctionConfig())
    (line,) = (line for line in told if line["event"] == "package_guessed")
    assert (line["log_level"], line["code"]) == ("warning", "name-repeated")
    assert line["digest"] == digest_of(data)


async def test_code_still_in_use_by_an_instance_is_dropped_later(bench: FunctionBench) -> None:
    digest = bench.packages.save(package()).digest
    bench.host.in_use.add(digest)
    keeper = CodeKeeper(bench.packages, bench.host, frozenset, [0.0] * 1000)
    keeper.collect([digest])
    await eventually(lambda: bench.host.forget_refusals > 1)
    assert bench.packages.digests() == {digest}
    bench.host.in_use.clear()
    await eventually(lambda: bench.packages.digests() == frozenset())
    await keeper.close()


async def test_code_that_is_saved_again_while_it_is_to_be_dropped_stays(
    bench: FunctionBench,
) -> None:
    digest = bench.packages.save(package()).digest
    bench.host.in_use.add(digest)
    used: set[str] = set()
    keeper = CodeKeeper(bench.packages, bench.host, lambda: frozenset(used), [0.0] * 1000)
    keeper.collect([digest])
    await eventually(lambda: bench.host.forget_refusals > 1)
    async with keeper.admit(package()) as ref:
        bench.host.in_use.clear()
        used.add(ref.digest)
    await keeper.close()
    assert bench.packages.digests() == {digest}


async def test_code_that_the_engine_never_lets_go_is_left_to_the_next_start(
    bench: FunctionBench,
) -> None:
    digest = bench.packages.save(package()).digest
    bench.host.in_use.add(digest)
    keeper = CodeKeeper(bench.packages, bench.host, frozenset, [0.0])
    keeper.collect([digest])
    await eventually(lambda: bench.host.forget_refusals == 2)
    await keeper.close()
    assert bench.packages.digests() == {digest}
    bench.host.in_use.clear()
    await bench.restart()
    await eventually(lambda: bench.packages.digests() == frozenset())


async def test_code_that_somebody_holds_is_not_dropped(bench: FunctionBench) -> None:
    digest = bench.packages.save(package()).digest
    keeper = CodeKeeper(bench.packages, bench.host, frozenset)
    with keeper.holding([digest]), keeper.holding([digest]):
        keeper.collect([digest])
    await eventually(lambda: bench.packages.digests() == frozenset())
    assert bench.host.forgotten == [digest]
    await keeper.close()
    keeper.collect([digest])
    assert bench.host.forgotten == [digest]


async def test_an_unforeseen_error_in_the_background_is_logged() -> None:
    async def fail() -> None:
        raise ValueError("unforeseen")

    owner = TaskOwner()
    with capture_logs() as logs:
        owner.start(fail())
        await owner.drain()
        await eventually(lambda: bool(logs))
    assert logs[0]["event"] == "background_task_failed"


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_failure_that_no_caller_hears_of_any_more_is_logged(leaves: bool) -> None:
    gate = asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise ValueError("unforeseen")

    owner = TaskOwner()
    caller = asyncio.create_task(owner.finish(fail()))
    await turns()
    if leaves:
        caller.cancel()
    with capture_logs() as logs:
        gate.set()
        await owner.drain()
        with pytest.raises(asyncio.CancelledError if leaves else ValueError):
            await caller
    assert [log["event"] for log in logs] == ["background_task_failed"] * leaves


async def test_refused_code_is_dropped_again(bench: FunctionBench) -> None:
    keeper = CodeKeeper(bench.packages, bench.host, frozenset)
    with pytest.raises(RequestError):
        async with keeper.admit(package()):
            raise RequestError("changed my mind")
    await eventually(lambda: bench.packages.digests() == frozenset())
    await keeper.close()


# ---------------------------------------------------------------- restarting


async def test_a_restart_goes_on_with_what_was_interrupted(bench: FunctionBench) -> None:
    await bench.active("done")
    await bench.active("updated", "old")
    bench.host.gate.clear()
    await bench.create("created")
    await bench.service.update_code("default", "updated", package("new"))
    await bench.restart()
    assert bench.latest("created").status is FunctionStatus.CREATING
    assert bench.latest("updated").status is FunctionStatus.UPDATING
    bench.service.require_invocable(bench.latest("updated"))
    assert bench.latest("done").status is FunctionStatus.ACTIVE
    bench.host.gate.set()
    assert (await bench.settled("created")).latest.status is FunctionStatus.ACTIVE
    code = (await bench.settled("updated")).latest.code
    assert code is not None
    assert code.digest == digest_of(package("new"))


async def test_a_restart_drops_packages_that_nobody_uses(bench: FunctionBench) -> None:
    await bench.active("fn", "used")
    bench.packages.save(package("left behind"))
    await bench.restart()
    await eventually(lambda: bench.packages.digests() == {digest_of(package("used"))})


async def test_closing_waits_for_what_is_being_saved(bench: FunctionBench) -> None:
    bench.repository.gate.clear()
    creating = asyncio.create_task(bench.create())
    await eventually(lambda: bench.repository.begun == 1)
    closing = asyncio.create_task(bench.service.close())
    await eventually(creating.done)
    assert not closing.done()
    bench.repository.gate.set()
    await closing
    stored = bench.repository.stored()
    assert stored is not None
    assert stored.digests <= bench.packages.digests()


async def test_a_lost_package_shows_as_a_platform_error(bench: FunctionBench) -> None:
    function = await bench.active()
    (digest,) = function.digests
    bench.packages.remove(digest)
    with pytest.raises(PlatformError):
        bench.packages.open(digest)


# ---------------------------------------------------------------- listing


async def test_functions_are_listed_newest_first_page_by_page(bench: FunctionBench) -> None:
    for name in ("beta", "alpha", "gamma", "alphabet"):
        await bench.active(name)
    listed = bench.service.list()
    assert [f.name for f in listed.functions] == ["alphabet", "gamma", "alpha", "beta"]
    page = bench.service.list("default", Query(order_by="FunctionName", order="asc", limit=2))
    assert (page.total, [f.name for f in page.functions]) == (4, ["alpha", "alphabet"])
    rest = Query(order_by="FunctionName", order="ASC", offset=3, limit=2)
    assert [f.name for f in bench.service.list("default", rest).functions] == ["gamma"]
    assert bench.service.list("default", Query(search="ALPHA")).total == 2
    assert bench.service.list("default", Query(where=lambda f: f.name == "beta")).total == 1
    await bench.service.update_code("default", "beta", package("new"))
    recent = bench.service.list("default", Query(order_by="ModTime", limit=1))
    assert [f.name for f in recent.functions] == ["beta"]


async def test_an_unknown_namespace_cannot_be_listed(bench: FunctionBench) -> None:
    with pytest.raises(NotFoundError) as caught:
        bench.service.list("other")
    assert caught.value.code == "ResourceNotFound.Namespace"


def test_a_list_is_asked_for_within_bounds() -> None:
    for arguments, code in [
        ({"order_by": "Name"}, "InvalidParameterValue.Order"),
        ({"order": "down"}, "InvalidParameterValue.Order"),
        ({"offset": -1}, "InvalidParameterValue.Offset"),
        ({"limit": 0}, "InvalidParameterValue.Limit"),
        ({"limit": 1001}, "InvalidParameterValue.Limit"),
    ]:
        with pytest.raises(RequestError) as caught:
            Query(**arguments)  # type: ignore[arg-type]
        assert caught.value.code == code
