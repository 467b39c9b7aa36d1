"""The control plane as a whole, on an engine in memory: made, opened, closed part by part."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.clock import new_request_id
from sandbox.control_plane import INTERRUPTED, ControlPlane
from sandbox.errors import EngineError
from sandbox.events.queue import EventQueue
from sandbox.functions.catalog import Catalog
from sandbox.functions.model import FunctionConfig
from sandbox.invocation import InvokeOptions
from sandbox.pool.pool import Pool
from sandbox.records.query import RecordQuery
from sandbox.store.retention import Retention
from tests.support.control_plane import NoPort, echo_engine, plane_of
from tests.support.engine import FakeEngine
from tests.support.waiting import eventually
from tests.support.zips import package

if TYPE_CHECKING:
    from pathlib import Path


def our_threads() -> set[threading.Thread]:
    """Those that are not the event loop's own."""
    return {t for t in threading.enumerate() if not t.name.startswith("asyncio_")}


async def invoked(plane: ControlPlane) -> str:
    """The id of an invocation of a new function, which has ended well."""
    await plane.functions.create("default", "hello", package(), FunctionConfig())
    await plane.functions.settled("default", "hello")
    request_id = new_request_id()
    outcome = await plane.invoker.invoke("hello", b'{"a":1}', InvokeOptions(request_id))
    assert outcome.body == b'{"a":1}'
    return request_id


async def test_a_function_is_created_invoked_and_recorded(tmp_path: Path) -> None:
    engine = echo_engine()
    async with plane_of(tmp_path, engine) as plane:
        ready = [plane.ready]
        await plane.open(NoPort())
        ready.append(plane.ready)
        request_id = await invoked(plane)
        total, [record] = await plane.history.find(RecordQuery("default"))
        assert (total, record.request_id, record.status_code) == (1, request_id, 200)
    assert [*ready, plane.ready] == [False, True, False]
    assert engine.alive == []


@pytest.mark.parametrize("part", [Retention, EventQueue, Catalog, Pool, FakeEngine])
async def test_a_part_that_fails_to_close_keeps_none_of_the_others_open(
    part: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = part.close

    async def failing(self: Any) -> None:
        await close(self)
        raise RuntimeError(f"{part.__name__} failed to close")

    monkeypatch.setattr(part, "close", failing)
    threads = set(threading.enumerate())
    engine, port = echo_engine(), NoPort()
    plane = plane_of(tmp_path, engine)

    async def live() -> None:
        async with plane:
            await plane.open(port)
            await invoked(plane)

    with pytest.raises(RuntimeError, match="failed to close"):
        await live()
    assert engine.alive == []
    assert plane.pool.instances() == []
    assert port.closed == 1
    assert plane.writer.pending == 0
    assert our_threads() <= threads


async def test_an_engine_that_cannot_be_had_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> FakeEngine:
        raise EngineError("no container engine answers")

    threads = set(threading.enumerate())
    monkeypatch.setattr("sandbox.control_plane.choose_engine", refuse)
    with pytest.raises(EngineError):
        async with plane_of(tmp_path):
            pytest.fail("it was made without an engine")
    assert our_threads() <= threads


async def test_an_engine_that_does_not_open_is_closed(tmp_path: Path) -> None:
    class Broken(FakeEngine):
        closed = False

        async def open(self, listen: object) -> None:
            raise EngineError("the image is not there")

        async def close(self) -> None:
            self.closed = True

    engine, port = Broken(), NoPort()
    with pytest.raises(EngineError, match="image"):
        async with plane_of(tmp_path, engine) as plane:
            await plane.open(port)
    assert engine.closed
    assert port.closed == 1


async def test_what_ran_when_the_process_died_is_told_of_as_interrupted(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with plane_of(tmp_path, engine) as plane:
        await plane.open(NoPort())
        await plane.functions.create("default", "hello", package(), FunctionConfig(async_run=True))
        await plane.functions.settled("default", "hello")
        found = plane.functions.get("default", "hello")
        invocation = plane.invoker.begin(
            found, found.latest, b"{}", InvokeOptions("r1", invocation_type="Event")
        )
        await eventually(lambda: invocation.instance is not None)
        running = await plane.history.get("r1")
        assert running is not None
        assert invocation.outcome is None
    async with plane_of(tmp_path, FakeEngine()) as plane:
        await plane.open(NoPort())
        record = await plane.history.get("r1")
        assert record is not None
        assert record.ret_msg == INTERRUPTED
