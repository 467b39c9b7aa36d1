from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.errors import ConflictError, EngineError, LimitError, NotFoundError, SandboxError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.model import (
    DeadLetterQueue,
    FunctionConfig,
    FunctionStatus,
    LayerRef,
    instance_key,
    instance_keys,
)
from sandbox.packages.package import digest_of
from tests.support.waiting import eventually
from tests.support.zips import package
from tests.unit.functions.function_fakes import FunctionBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FunctionBench]:
    bench = FunctionBench(tmp_path)
    await bench.service.open()
    yield bench
    bench.host.gate.set()
    bench.repository.gate.set()
    await bench.service.close()


async def refused(attempt: Awaitable[Any]) -> str:
    with pytest.raises(SandboxError) as caught:
        await attempt
    return caught.value.code


# ---------------------------------------------------------------- creating


async def test_a_new_function_is_creating_then_active(bench: FunctionBench) -> None:
    bench.host.gate.clear()
    function = await bench.create()
    assert function.latest.status is FunctionStatus.CREATING
    stored = bench.repository.stored()
    assert stored == function
    with pytest.raises(ConflictError) as caught:
        bench.service.require_invocable(function.latest)
    assert caught.value.code == "FailedOperation.FunctionStatusError"
    bench.host.gate.set()
    active = await bench.settled()
    assert active.latest.status is FunctionStatus.ACTIVE
    assert active.latest.code is not None
    assert active.latest.code.digest == digest_of(package())
    assert bench.repository.stored() == active
    bench.service.require_invocable(active.latest)
    prepared, version = bench.host.prepared[0]
    assert instance_key(prepared, version) == instance_key(active, active.latest)


async def test_function_ids_look_like_the_platforms(bench: FunctionBench) -> None:
    first, second = await bench.create("f1"), await bench.create("f2")
    assert first.function_id.startswith("lam-")
    assert len(first.function_id) == 12
    assert first.function_id != second.function_id


async def test_a_function_that_cannot_be_prepared_says_why(bench: FunctionBench) -> None:
    bench.host.errors.append(EngineError("no engine"))
    await bench.create()
    failed = (await bench.settled()).latest
    assert failed.status is FunctionStatus.CREATE_FAILED
    assert [(r.code, r.message) for r in failed.status_reasons] == [
        ("InternalError.System", "no engine")
    ]
    with pytest.raises(ConflictError, match=r"CreateFailed.*no engine.*update"):
        bench.service.require_invocable(failed)


async def test_a_bug_in_the_host_ends_in_a_failed_status(bench: FunctionBench) -> None:
    bench.host.errors.append(TypeError("oops"))
    await bench.create()
    failed = (await bench.settled()).latest
    assert failed.status is FunctionStatus.CREATE_FAILED
    assert "oops" in failed.status_reasons[0].message


async def test_of_equal_names_created_at_once_one_is_created(bench: FunctionBench) -> None:
    attempts = [bench.create("fn", f"{i}") for i in range(5)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    errors = [result.code for result in results if isinstance(result, SandboxError)]
    assert errors == ["ResourceInUse.FunctionName"] * 4
    winner = (await bench.settled()).latest.code
    assert winner is not None
    await eventually(lambda: bench.packages.digests() == {winner.digest})


async def test_a_name_that_is_taken_is_refused_before_the_zip_is_read(bench: FunctionBench) -> None:
    await bench.active()
    attempt = bench.service.create("default", "fn", b"no zip", FunctionConfig())
    assert await refused(attempt) == "ResourceInUse.FunctionName"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("default", "1f", package(), FunctionConfig()), "InvalidParameterValue.FunctionName"),
        (("-", "f1", package(), FunctionConfig()), "InvalidParameterValue.Namespace"),
        (("other", "f1", package(), FunctionConfig()), "ResourceNotFound.Namespace"),
        (("default", "f1", package(), FunctionConfig(memory_mb=1)), "InvalidParameterValue.Memory"),
        (("default", "f1", b"no zip", FunctionConfig()), "InvalidParameterValue.ZipFile"),
        (
            ("default", "f1", package(), FunctionConfig(layers=(LayerRef(name="l", version=1),))),
            "ResourceNotFound.Layer",
        ),
    ],
)
async def test_what_is_wrong_leaves_nothing_behind(
    bench: FunctionBench, arguments: tuple[str, str, bytes, FunctionConfig], code: str
) -> None:
    assert await refused(bench.service.create(*arguments)) == code
    assert bench.repository.rows == {}
    assert bench.packages.digests() == frozenset()


async def test_a_namespace_has_room_for_so_many_functions(bench: FunctionBench) -> None:
    bench.make(functions_per_namespace=2)
    await bench.active("f1", "1")
    await bench.active("f2", "2")
    with pytest.raises(LimitError) as caught:
        await bench.create("f3", "3")
    assert caught.value.code == "LimitExceeded.Function"
    await eventually(lambda: len(bench.packages.digests()) == 2)


async def test_a_store_that_fails_refuses_the_function_and_drops_its_package(
    bench: FunctionBench,
) -> None:
    bench.repository.errors.append(RuntimeError("disk full"))
    with pytest.raises(RuntimeError, match="disk full"):
        await bench.create()
    assert await refused(bench.settled()) == "ResourceNotFound.FunctionName"
    await eventually(lambda: bench.packages.digests() == frozenset())


async def test_a_result_that_cannot_be_saved_is_saved_later(bench: FunctionBench) -> None:
    bench.host.gate.clear()
    await bench.create()
    bench.repository.errors += [RuntimeError("locked"), RuntimeError("locked")]
    bench.host.gate.set()
    assert (await bench.settled()).latest.status is FunctionStatus.ACTIVE
    assert bench.repository.errors == []


async def test_a_creation_is_completed_though_its_caller_goes_away(bench: FunctionBench) -> None:
    bench.repository.gate.clear()
    creating = asyncio.create_task(bench.create())
    await eventually(lambda: bench.repository.begun == 1)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    bench.repository.gate.set()
    await eventually(lambda: bench.registry.find("default", "fn") is not None)
    assert (await bench.settled()).latest.status is FunctionStatus.ACTIVE
    assert bench.packages.digests() == {digest_of(package())}


# ---------------------------------------------------------------- finding


async def test_qualifiers_lead_to_the_latest_version(bench: FunctionBench) -> None:
    function = await bench.active()
    for qualifier in ("$LATEST", "$DEFAULT"):
        found = bench.service.resolve("default", "fn", qualifier)
        assert found == (function, function.latest)


async def test_what_is_not_there_is_not_found(bench: FunctionBench) -> None:
    await bench.active()
    for namespace, name, qualifier, code in [
        ("default", "g", "$LATEST", "ResourceNotFound.FunctionName"),
        ("other", "fn", "$LATEST", "ResourceNotFound.FunctionName"),
        ("default", "fn", "1", "ResourceNotFound.Qualifier"),
        ("default", "fn", "nobody", "ResourceNotFound.Qualifier"),
        ("default", "fn", "", "ResourceNotFound.Qualifier"),
    ]:
        with pytest.raises(NotFoundError) as caught:
            bench.service.resolve(namespace, name, qualifier)
        assert caught.value.code == code
    with pytest.raises(NotFoundError) as caught:
        bench.service.resolve("default", "fn", "1", code="ResourceNotFound.Version")
    assert caught.value.code == "ResourceNotFound.Version"


async def test_waiting_for_a_function_ends_with_its_time(bench: FunctionBench) -> None:
    bench.host.gate.clear()
    await bench.create()
    waited = await bench.service.settled("default", "fn", within_s=0.01)
    assert waited.latest.status is FunctionStatus.CREATING


# ---------------------------------------------------------------- updating


async def test_old_code_serves_until_new_code_is_ready(bench: FunctionBench) -> None:
    old = (await bench.active()).latest
    bench.host.gate.clear()
    updating = await bench.service.update_code(
        "default", "fn", package("new"), ConfigChange(handler="new.h")
    )
    assert updating.latest.status is FunctionStatus.UPDATING
    assert updating.latest.code == old.code
    assert updating.latest.config == old.config
    assert updating.latest.wanted.config.handler == "new.h"
    bench.service.require_invocable(updating.latest)
    bench.host.gate.set()
    new = (await bench.settled()).latest
    assert new.status is FunctionStatus.ACTIVE
    assert new.code is not None
    assert new.code.digest == digest_of(package("new"))
    assert new.config.handler == "new.h"
    assert new.candidate is None
    assert new.modified_at > old.modified_at
    assert new.created_at == old.created_at


async def test_after_an_update_old_instances_end_and_old_code_goes(bench: FunctionBench) -> None:
    old = await bench.active()
    await bench.service.update_code("default", "fn", package("new"))
    new = await bench.settled()
    await eventually(lambda: bench.packages.digests() == {digest_of(package("new"))})
    assert bench.host.forgotten == [digest_of(package())]
    assert bench.host.retired[-1] == ("default", "fn", instance_keys(new))
    assert not instance_keys(old) & instance_keys(new)


async def test_a_failed_update_leaves_the_old_code_serving(bench: FunctionBench) -> None:
    old = (await bench.active()).latest
    bench.host.errors.append(EngineError("no space"))
    await bench.service.update_code("default", "fn", package("new"))
    failed = await bench.settled()
    assert failed.latest.status is FunctionStatus.UPDATE_FAILED
    assert failed.latest.status_reasons[0].message == "no space"
    assert failed.latest.code == old.code
    assert failed.latest.candidate is None
    bench.service.require_invocable(failed.latest)
    await eventually(lambda: bench.packages.digests() == {digest_of(package())})
    await bench.service.update_code("default", "fn", package("new"))
    mended = (await bench.settled()).latest
    assert mended.status is FunctionStatus.ACTIVE
    assert mended.status_reasons == ()


async def test_a_function_that_was_never_ready_can_be_mended_by_an_update(
    bench: FunctionBench,
) -> None:
    bench.host.errors += [EngineError("first"), EngineError("second")]
    await bench.active()
    await bench.service.update_code("default", "fn", package("new"))
    still = (await bench.settled()).latest
    assert still.status is FunctionStatus.UPDATE_FAILED
    with pytest.raises(ConflictError):
        bench.service.require_invocable(still)
    await bench.service.update_config("default", "fn", ConfigChange())
    mended = (await bench.settled()).latest
    assert mended.status is FunctionStatus.ACTIVE
    bench.service.require_invocable(mended)


async def test_only_given_fields_of_the_configuration_change(bench: FunctionBench) -> None:
    config = FunctionConfig(
        memory_mb=256, environment={"A": "1"}, role="r", kept={"ClsTopicId": "t", "Vpc": {}}
    )
    await bench.service.create("default", "fn", package(), config)
    await bench.settled()
    change = ConfigChange(timeout_s=9, environment={}, kept={"Vpc": {"VpcId": "v"}})
    await bench.service.update_config("default", "fn", change)
    assert (await bench.settled()).latest.config == config.model_copy(
        update={
            "timeout_s": 9,
            "environment": {},
            "kept": {"ClsTopicId": "t", "Vpc": {"VpcId": "v"}},
        }
    )
    await bench.service.update_config("default", "fn", ConfigChange(description="", role=""))
    assert (await bench.settled()).latest.config.role == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "new"),
        ("traced", True),
        ("dead_letter", DeadLetterQueue(type="CMQ-QUEUE", name="dead")),
        ("kept", {"ClsTopicId": "t"}),
    ],
)
async def test_a_change_that_instances_do_not_feel_is_active_at_once(
    bench: FunctionBench, field: str, value: Any
) -> None:
    before = await bench.active()
    prepared = len(bench.host.prepared)
    after = await bench.service.update_config("default", "fn", ConfigChange(**{field: value}))
    assert after.latest.status is FunctionStatus.ACTIVE
    assert getattr(after.latest.config, field) == value
    assert instance_keys(after) == instance_keys(before)
    assert len(bench.host.prepared) == prepared


async def test_a_configuration_out_of_bounds_changes_nothing(bench: FunctionBench) -> None:
    before = await bench.active()
    attempt = bench.service.update_config("default", "fn", ConfigChange(timeout_s=901))
    assert await refused(attempt) == "LimitExceeded.Timeout"
    layers = ConfigChange(layers=(LayerRef(name="l", version=1),))
    attempt = bench.service.update_config("default", "fn", layers)
    assert await refused(attempt) == "ResourceNotFound.Layer"
    assert bench.service.get("default", "fn") == before


async def test_a_function_in_transition_is_not_updated(bench: FunctionBench) -> None:
    bench.host.gate.clear()
    await bench.create()
    update_code = bench.service.update_code("default", "fn", package("new"))
    assert await refused(update_code) == "FailedOperation.UpdateFunctionCode"
    update_config = bench.service.update_config("default", "fn", ConfigChange(timeout_s=9))
    assert await refused(update_config) == "FailedOperation.UpdateFunctionConfiguration"
    assert bench.packages.digests() == {digest_of(package())}


async def test_of_updates_at_once_one_wins(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.gate.clear()
    attempts = [bench.service.update_code("default", "fn", package(f"{i}")) for i in range(4)]
    change = ConfigChange(timeout_s=9)
    results = await asyncio.gather(
        *attempts, bench.service.update_config("default", "fn", change), return_exceptions=True
    )
    assert sum(isinstance(result, ConflictError) for result in results) == 4
    bench.host.gate.set()
    settled = (await bench.settled()).latest
    assert settled.status is FunctionStatus.ACTIVE
    code = settled.code
    assert code is not None
    await eventually(lambda: bench.packages.digests() == {code.digest})


async def test_updating_what_is_not_there_is_refused(bench: FunctionBench) -> None:
    for attempt in (
        bench.service.update_code("default", "fn", package()),
        bench.service.update_config("default", "fn", ConfigChange()),
        bench.service.force_cold("default", "fn"),
        bench.service.delete("default", "fn"),
    ):
        assert await refused(attempt) == "ResourceNotFound.FunctionName"


async def test_forcing_a_cold_start_ends_every_instance(bench: FunctionBench) -> None:
    before = await bench.active()
    after = await bench.service.force_cold("default", "fn")
    assert after.epoch == before.epoch + 1
    assert bench.host.retired[-1] == ("default", "fn", instance_keys(after))
    assert not instance_keys(before) & instance_keys(after)


async def test_a_cold_start_forced_during_an_update_is_not_lost(bench: FunctionBench) -> None:
    await bench.active()
    bench.host.gate.clear()
    await bench.service.update_code("default", "fn", package("new"))
    await bench.service.force_cold("default", "fn")
    bench.host.gate.set()
    function = await bench.settled()
    assert function.epoch == 1
    assert function.latest.status is FunctionStatus.ACTIVE
    stored = bench.repository.stored()
    assert stored is not None
    assert stored.epoch == 1


async def test_instances_of_a_coming_update_outlive_a_forced_cold_start(
    bench: FunctionBench,
) -> None:
    await bench.active()
    bench.host.gate.clear()
    await bench.service.update_code("default", "fn", package("new"))
    cold = await bench.service.force_cold("default", "fn")
    assert len(bench.host.retired[-1][2]) == 2
    bench.host.gate.set()
    new = await bench.settled()
    assert instance_keys(new) < instance_keys(cold)
