"""An engine that cannot end one thing ends all the others."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.docker.engine import DockerEngine
from sandbox.engine.process.engine import ProcessEngine
from sandbox.errors import EngineError
from sandbox.packages.package import PackageStore
from sandbox.settings import Settings
from tests.engine.rigs import open_rig, process_leftovers
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Docker engine that tells its version, and is gone for everything else."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"/version " in head.split(b"\r\n")[0]:
        body = b'{"ApiVersion": "1.41"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


def calls_under_way() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("docker")]


async def test_a_lost_docker_engine_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        settings = Settings(data_dir=tmp_path)
        packages = PackageStore(tmp_path / "packages")
        engine = await asyncio.to_thread(DockerEngine, settings, packages)
        engine._owns = True  # it was lost later
        with pytest.raises(EngineError):
            await engine.close()
    await eventually(lambda: calls_under_way() == [])


async def test_an_instance_that_cannot_be_tidied_up_keeps_nothing_else(tmp_path: Path) -> None:
    async def live() -> None:
        async with open_rig("process", tmp_path, "close") as rig:
            assert isinstance(rig.engine, ProcessEngine)
            for _ in range(2):
                await rig.launch("echo never")
            one = next(iter(rig.engine._children))
            tidy = one._tidy

            async def fail() -> None:
                await tidy()
                raise OSError("the directory cannot be removed")

            one._tidy = fail

    with pytest.raises(OSError, match="cannot be removed"):
        await live()
    assert process_leftovers(Settings(data_dir=tmp_path, installation="close")) == []
