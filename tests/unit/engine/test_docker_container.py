"""The end of a container is always reported, whatever becomes of the engine."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from sandbox.engine.docker.client import Ended
from sandbox.engine.docker.container import DockerContainer
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.tasks import TaskOwner
from tests.engine.engine_kit import Watcher

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient

#: A frame of the attach stream: the shell around the bootstrap reports a kill on stderr.
KILLED = b"\x02\0\0\0\0\0\0\x15bootstrap ended: 137\n"


class FakeClient:
    """Tells how a container ended, or fails, or never answers."""

    def __init__(self) -> None:
        self.answer: Ended | Exception | None = None
        self.asked = asyncio.Event()

    async def end_of(self, container: str) -> Ended:
        self.asked.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        return cast("Ended", self.answer)

    async def memory(self, container: str) -> int:
        return 0


class Bench:
    """A container whose attach stream is ours."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.tasks = TaskOwner()
        self.sink = Watcher()

    async def open(self) -> Bench:
        self.engine_end, ours = socket.socketpair()
        ours.setblocking(False)

        async def left() -> None: ...

        container = DockerContainer(
            cast("DockerClient", self.client),
            "c0ffee",
            "name.scf",
            "198.18.0.3",
            "here",
            sink=self.sink,
            tasks=self.tasks,
            cgroup_root=Path("/nowhere"),
            left=left,
        )
        await container.connect(ours)
        return self

    def detach(self) -> None:
        self.engine_end.close()


async def test_the_engine_tells_how_a_lost_container_ended() -> None:
    bench = await Bench().open()
    bench.client.answer = Ended(137, oom_killed=True)
    bench.detach()
    end = await bench.sink.end()
    assert (end.code, end.oom_killed) == (137, True)


async def test_an_engine_that_cannot_tell_is_the_reason_given() -> None:
    bench = await Bench().open()
    bench.client.answer = EngineError("it does not answer", EngineErrorKind.UNREACHABLE)
    bench.detach()
    end = await bench.sink.end()
    assert end.code is None
    assert "it does not answer" in end.reason


@pytest.mark.parametrize("report", [b"", KILLED])
async def test_a_fault_of_ours_is_logged_and_the_end_still_reported(report: bytes) -> None:
    bench = await Bench().open()
    bench.client.answer = KeyError("State")
    with capture_logs() as logs:
        bench.engine_end.sendall(report)
        bench.detach()
        end = await bench.sink.end()
        await bench.tasks.drain()
    assert end.code == (137 if report else None)
    assert [entry["event"] for entry in logs] == ["exit_unknown"]
    assert len(bench.sink.exits) == 1


async def test_closing_the_engine_while_it_is_asked_still_reports_the_end() -> None:
    bench = await Bench().open()
    bench.detach()
    await bench.client.asked.wait()
    await bench.tasks.cancel()
    assert [end.code for end in bench.sink.exits] == [None]
