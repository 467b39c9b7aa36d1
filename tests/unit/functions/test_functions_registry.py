from __future__ import annotations

import asyncio

import pytest

from sandbox.errors import ConflictError, LimitError, NotFoundError
from sandbox.functions.model import LATEST, Function, FunctionConfig, FunctionVersion
from sandbox.functions.registry import FunctionRegistry
from tests.support.waiting import eventually
from tests.unit.functions.function_fakes import FakeRepository

KEY = ("default", "f")


def function(name: str = "f", namespace: str = "default") -> Function:
    version = FunctionVersion(config=FunctionConfig(), created_at=1.0, modified_at=1.0)
    return Function(
        namespace=namespace,
        name=name,
        function_id="lam-00000000",
        created_at=1.0,
        versions={LATEST: version},
    )


def colder(before: Function) -> Function:
    return before.model_copy(update={"epoch": before.epoch + 1})


@pytest.fixture
def repository() -> FakeRepository:
    return FakeRepository()


@pytest.fixture
def registry(repository: FakeRepository) -> FunctionRegistry:
    return FunctionRegistry(repository)


async def test_what_was_saved_is_there_after_loading(
    registry: FunctionRegistry, repository: FakeRepository
) -> None:
    added = await registry.add(function(), 50)
    fresh = FunctionRegistry(repository)
    assert fresh.find(*KEY) is None
    await fresh.load()
    assert fresh.get(*KEY) == added


async def test_a_change_shows_only_when_it_is_saved(
    registry: FunctionRegistry, repository: FakeRepository
) -> None:
    repository.gate.clear()
    adding = asyncio.create_task(registry.add(function(), 50))
    await eventually(lambda: repository.begun == 1)
    assert registry.find(*KEY) is None
    repository.gate.set()
    await adding
    assert registry.find(*KEY) is not None


async def test_a_change_that_cannot_be_saved_does_not_show(
    registry: FunctionRegistry, repository: FakeRepository
) -> None:
    repository.errors.append(RuntimeError("disk full"))
    with pytest.raises(RuntimeError, match="disk full"):
        await registry.add(function(), 50)
    assert registry.find(*KEY) is None
    await registry.add(function(), 1)
    repository.errors.append(RuntimeError("disk full"))
    with pytest.raises(RuntimeError, match="disk full"):
        await registry.change(KEY, colder)
    assert registry.get(*KEY).epoch == 0
    repository.errors.append(RuntimeError("disk full"))
    with pytest.raises(RuntimeError, match="disk full"):
        await registry.remove(KEY)
    assert registry.get(*KEY)


async def test_of_two_functions_of_one_name_one_is_added(registry: FunctionRegistry) -> None:
    results = await asyncio.gather(
        *(registry.add(function(), 50) for _ in range(5)), return_exceptions=True
    )
    errors = [result for result in results if isinstance(result, ConflictError)]
    assert [error.code for error in errors] == ["ResourceInUse.FunctionName"] * 4


async def test_changes_at_once_are_all_kept(registry: FunctionRegistry) -> None:
    await registry.add(function(), 50)
    await asyncio.gather(*(registry.change(KEY, colder) for _ in range(20)))
    assert registry.get(*KEY).epoch == 20


async def test_an_edit_that_changes_nothing_is_not_saved(
    registry: FunctionRegistry, repository: FakeRepository
) -> None:
    await registry.add(function(), 50)
    await registry.change(KEY, lambda before: before)
    assert repository.writes == 1


async def test_a_namespace_holds_so_many_functions_even_if_they_come_at_once(
    registry: FunctionRegistry,
) -> None:
    names = [f"f{i}" for i in range(10)]
    results = await asyncio.gather(
        *(registry.add(function(name), 3) for name in names), return_exceptions=True
    )
    errors = [result for result in results if isinstance(result, LimitError)]
    assert [error.code for error in errors] == ["LimitExceeded.Function"] * 7
    assert len(registry.in_namespace("default")) == 3
    await registry.add(function("other", "elsewhere"), 3)


async def test_what_is_not_there_cannot_be_changed_or_removed(registry: FunctionRegistry) -> None:
    for attempt in (registry.change(KEY, colder), registry.remove(KEY)):
        with pytest.raises(NotFoundError) as caught:
            await attempt
        assert caught.value.code == "ResourceNotFound.FunctionName"


async def test_a_change_is_completed_though_its_caller_is_cancelled(
    registry: FunctionRegistry, repository: FakeRepository
) -> None:
    repository.gate.clear()
    adding = asyncio.create_task(registry.add(function(), 50))
    await eventually(lambda: repository.begun == 1)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    repository.gate.set()
    await registry.close()
    assert registry.find(*KEY) is not None
    assert repository.stored("f") is not None


async def test_waiting_ends_when_the_function_is_as_asked(registry: FunctionRegistry) -> None:
    await registry.add(function(), 50)
    waiting = asyncio.create_task(registry.until(KEY, lambda f: f.epoch == 2))
    await registry.change(KEY, colder)
    await asyncio.sleep(0)
    assert not waiting.done()
    await registry.change(KEY, colder)
    assert (await waiting).epoch == 2


async def test_waiting_ends_when_the_function_goes(registry: FunctionRegistry) -> None:
    await registry.add(function(), 50)
    waiting = asyncio.create_task(registry.until(KEY, lambda f: f.epoch == 2))
    await asyncio.sleep(0)
    await registry.remove(KEY)
    await eventually(waiting.done)
    with pytest.raises(NotFoundError):
        await waiting
