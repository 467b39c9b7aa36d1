"""Namespaces and the collection that holds them, against a store that can be held still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import SandboxError
from sandbox.functions.model import FunctionConfig
from sandbox.functions.namespaces import Namespace, Namespaces
from sandbox.functions.service import FunctionService
from tests.support.clock import FakeClock
from tests.support.waiting import eventually
from tests.support.zips import package
from tests.unit.functions.collection_fakes import FakeTable
from tests.unit.functions.function_fakes import FunctionBench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table() -> FakeTable[Namespace]:
    return FakeTable(Namespace)


def service(bench: FunctionBench, namespaces: Namespaces) -> FunctionService:
    return FunctionService(
        bench.registry,
        bench.packages,
        bench.host,
        bench.clock,
        namespace_exists=namespaces.exists,
    )


async def test_default_is_made_once_and_keeps_its_description(table: FakeTable[Namespace]) -> None:
    first = Namespaces(table, FakeClock(), lambda _: False)
    await first.load()
    await first.update("default", "ours")
    again = Namespaces(table, FakeClock(), lambda _: False)
    await again.load()
    assert [(n.name, n.description) for n in again.all()] == [("default", "ours")]


async def test_no_function_gets_into_a_namespace_that_is_being_deleted(
    tmp_path: Path, table: FakeTable[Namespace]
) -> None:
    bench = FunctionBench(tmp_path)
    namespaces = Namespaces(table, bench.clock, bench.registry.occupied)
    functions = service(bench, namespaces)
    await namespaces.load()
    await namespaces.create("stage")
    table.gate.clear()
    deleting = asyncio.create_task(namespaces.delete("stage"))
    await eventually(lambda: table.begun == 3)
    with pytest.raises(SandboxError) as caught:
        await functions.create("stage", "fn", package(), FunctionConfig())
    assert caught.value.code == "ResourceNotFound.Namespace"
    table.gate.set()
    await deleting
    assert not namespaces.exists("stage")
    await functions.close()


async def test_a_namespace_is_not_deleted_while_a_function_is_on_its_way_into_it(
    tmp_path: Path, table: FakeTable[Namespace]
) -> None:
    bench = FunctionBench(tmp_path)
    namespaces = Namespaces(table, bench.clock, bench.registry.occupied)
    functions = service(bench, namespaces)
    await namespaces.load()
    await namespaces.create("stage")
    bench.repository.gate.clear()
    creating = asyncio.create_task(functions.create("stage", "fn", package(), FunctionConfig()))
    await eventually(lambda: bench.repository.begun == 1)
    with pytest.raises(SandboxError) as caught:
        await namespaces.delete("stage")
    assert caught.value.code == "ResourceInUse.Namespace"
    bench.repository.gate.set()
    await creating
    await functions.close()


async def test_what_the_store_refuses_does_not_show(table: FakeTable[Namespace]) -> None:
    namespaces = Namespaces(table, FakeClock(), lambda _: False)
    await namespaces.load()
    table.errors = [OSError("disk full")]
    with pytest.raises(OSError, match="disk full"):
        await namespaces.create("stage")
    assert not namespaces.exists("stage")
    await namespaces.create("stage")
    table.errors = [OSError("disk full")]
    with pytest.raises(OSError, match="disk full"):
        await namespaces.delete("stage")
    assert namespaces.exists("stage")


async def test_a_change_whose_caller_goes_away_is_completed(table: FakeTable[Namespace]) -> None:
    namespaces = Namespaces(table, FakeClock(), lambda _: False)
    await namespaces.load()
    table.gate.clear()
    creating = asyncio.create_task(namespaces.create("stage"))
    await eventually(lambda: table.begun == 2)
    creating.cancel()
    table.gate.set()
    await namespaces.close()
    assert creating.cancelled()
    assert namespaces.exists("stage")
    assert "stage" in table.rows
