"""A database file with damage in any place: a clear word, or no word at all, and never a trace."""

from __future__ import annotations

import asyncio
import random
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest
from structlog.testing import capture_logs

from api.app import Application
from sandbox.errors import SandboxError
from tests.support.control_plane import NoPort, echo_engine, plane_of, running_plane
from tests.support.records import make_record
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.control_plane import ControlPlane

SEEDS = 50
PAGE = 4096
READ = (
    "/functions",
    "/functions/kept",
    "/functions/kept/invocations",
    "/functions/kept/logs",
    "/invocations/kept-3",
    "/dead-letters",
)


def client_of(plane: ControlPlane) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=Application(plane).asgi, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000")


async def create(client: httpx.AsyncClient, name: str) -> httpx.Response:
    files = {"code": ("code.zip", zip_of({"bootstrap": "#!/bin/sh\n"}))}
    return await client.post("/functions", data={"name": name}, files=files)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a sandbox that was stopped."""
    directory = tmp_path_factory.mktemp("good")
    asyncio.run(fill(directory))
    return directory


async def fill(directory: Path) -> None:
    async with running_plane(directory) as plane, client_of(plane) as client:
        for number in range(20):
            assert (await create(client, f"kept{number or ''}")).status_code == 201
        for number in range(400):
            plane.writer.put(make_record(f"kept-{number}", function_name="kept"))


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 50)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def scribble(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at : at + PAGE] = chance.randbytes(min(PAGE, len(data) - at))


def clear(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) // PAGE) * PAGE
    data[at : at + PAGE] = bytes(PAGE)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def header(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(100)] = chance.randrange(256)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    scribble,
    clear,
    cut,
    header,
)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_damaged_database_is_told_of_and_never_a_stack_trace(
    good: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    directory = tmp_path / "data"
    shutil.copytree(good, directory)
    database = directory / "scf.db"
    data = bytearray(database.read_bytes())
    DAMAGES[seed % len(DAMAGES)](data, chance)
    database.write_bytes(data)
    refused = ""
    with capture_logs() as logs:
        try:
            async with plane_of(directory, echo_engine()) as plane:
                await plane.open(NoPort())
                await use(plane)
        except SandboxError as error:
            refused = error.message
    assert not refused or says_what_to_do(refused), refused
    assert [entry for entry in logs if entry.get("exc_info")] == []


async def use(plane: ControlPlane) -> None:
    """Read and write what is there; each answer is right, or says what is wrong."""
    async with client_of(plane) as client:
        answers = [await client.get(path) for path in READ]
        answers.append(await create(client, "new"))
        answers.append(await client.patch("/functions/kept1", json={"timeout": 5}))
        answers.append(await client.post("/functions/kept/invocations", json={}))
    for answer in answers:
        if answer.status_code == 500 and "error" in answer.json():
            message = answer.json()["error"]["message"]
            assert says_what_to_do(message), message


def says_what_to_do(message: str) -> bool:
    return "the database" in message and any(
        word in message for word in ("move it away", "bring back a copy", "SCF_DATABASE_URL")
    )
