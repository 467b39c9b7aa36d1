"""What the refusals of a Docker engine mean, and an engine that is not there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.docker.client import DockerClient
from sandbox.engine.docker.options import ContainerOptions
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

K = EngineErrorKind

#: (status, message of Docker 20.10 or later, kind): recorded from a real engine where it could be.
ANSWERS = [
    (404, "No such image: nope/nope:latest", K.NO_IMAGE),
    (404, "No such container: 0123", K.GONE),
    (404, "get scf-x: no such volume", K.GONE),
    (404, "network 0123 not found", K.GONE),
    (403, "Pool overlaps with other one on this address space", K.OVERLAP),
    (400, "invalid pool request: Pool overlaps with other one on this address space", K.OVERLAP),
    (403, "networks have overlapping IPv4", K.OVERLAP),
    (403, "Address already in use", K.OVERLAP),
    (403, "network scf-x id 0123 has active endpoints", K.IN_USE),
    (409, "remove scf-x: volume is in use - [0123]", K.IN_USE),
    (409, 'Conflict. The container name "/x" is already in use by container "0123".', K.CONFLICT),
    (409, "network with name scf-x already exists", K.CONFLICT),
    (409, "removal of container 0123 is already in progress", K.REMOVING),
    (403, "something else is forbidden", K.REFUSED),
    (500, "it is tired", K.REFUSED),
    (502, "bad gateway", K.UNREACHABLE),
]


class Daemon:
    """A Docker API that gives one answer to everything but the question for its version."""

    def __init__(self) -> None:
        self.status = 500
        self.message = ""
        self.hangs_up = False

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(_length(head))
            if b"/version " in head.split(b"\r\n")[0]:
                status, body = 200, b'{"ApiVersion": "1.41"}'
            elif self.hangs_up:
                break
            else:
                status, body = self.status, json.dumps({"message": self.message}).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            break
        writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@pytest.fixture
async def daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    daemon = Daemon()
    server = await asyncio.start_server(daemon.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    yield daemon
    server.close()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[DockerClient]:
    client = await asyncio.to_thread(DockerClient, 1)
    yield client
    client.close()


@pytest.mark.parametrize(("status", "message", "kind"), ANSWERS)
async def test_a_refusal_has_the_kind_that_its_status_and_text_mean(
    daemon: Daemon, client: DockerClient, status: int, message: str, kind: EngineErrorKind
) -> None:
    daemon.status, daemon.message = status, message
    with pytest.raises(EngineError) as caught:
        await client.remove_volume("x")
    assert caught.value.kind is kind
    assert message in caught.value.message


async def test_a_missing_image_is_told_with_what_makes_it(
    daemon: Daemon, client: DockerClient
) -> None:
    daemon.status, daemon.message = 404, "No such image: scf-sandbox/centos7:latest"
    with pytest.raises(EngineError, match=r"scf-sandbox/centos7:latest: run scripts/images"):
        await client.create_container(ContainerOptions("scf-sandbox/centos7", ("true",), {}))


async def test_an_engine_that_hangs_up_is_unreachable(daemon: Daemon, client: DockerClient) -> None:
    daemon.hangs_up = True
    with pytest.raises(EngineError, match="does not answer") as caught:
        await client.facts()
    assert caught.value.kind is K.UNREACHABLE


def test_no_engine_at_all_is_unreachable_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError, match=r"scripts/engine.*SCF_ENGINE=process") as caught:
        DockerClient(1)
    assert caught.value.kind is K.UNREACHABLE
