"""Function networks on an engine that only pretends: what happens when one cannot be had."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.engine.base import InstanceSpec
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.networks import FunctionNetworks
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.settings import Settings

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient

SPEC = InstanceSpec("0" * 32, "default", "hello", "$LATEST", "0" * 64, 128, {})


class FakeEngine:
    """Remembers the networks it was asked to make; ``refusals`` come first."""

    def __init__(self) -> None:
        self.networks: dict[str, str] = {}
        self.refusals: list[EngineError] = []

    async def create_network(
        self, name: str, subnet: str, _gateway: str, _labels: dict[str, str]
    ) -> str:
        if self.refusals:
            raise self.refusals.pop(0)
        self.networks[name] = subnet
        return name

    async def remove_network(self, network_id: str) -> None:
        del self.networks[network_id]


class Port:
    """The runtime API's port, which may be another program's."""

    def __init__(self) -> None:
        self.taken = False
        self.error = errno.EADDRINUSE
        self.addresses: list[str] = []

    async def listen(self, address: str) -> asyncio.AbstractServer:
        if self.taken:
            raise OSError(self.error, os.strerror(self.error))
        self.addresses.append(address)
        return cast("asyncio.AbstractServer", asyncio.Server)


def networks(engine: FakeEngine, port: Port) -> FunctionNetworks:
    made = FunctionNetworks(cast("DockerClient", engine), Labels("test"), Settings())
    made.open(port.listen)
    return made


async def test_a_runtime_port_that_is_taken_is_the_engines_error_and_says_what_to_do() -> None:
    engine, port = FakeEngine(), Port()
    made = networks(engine, port)
    port.taken = True
    with pytest.raises(EngineError, match=r"198\.18\.0\.1 port 9001 .*SCF_RUNTIME_PORT"):
        await made.join(SPEC)
    assert engine.networks == {}


async def test_an_engine_on_another_machine_is_said_to_be_one() -> None:
    engine, port = FakeEngine(), Port()
    made = networks(engine, port)
    port.taken, port.error = True, errno.EADDRNOTAVAIL
    with pytest.raises(EngineError, match="another machine"):
        await made.join(SPEC)


async def test_a_network_that_could_not_be_had_is_tried_again() -> None:
    engine, port = FakeEngine(), Port()
    made = networks(engine, port)
    port.taken = True
    for _ in range(2):
        with pytest.raises(EngineError):
            await made.join(SPEC)
    port.taken = False
    assert (await made.join(SPEC)).peer == "198.18.0.3"
    assert port.addresses == ["198.18.0.1"]


async def test_a_subnet_that_somebody_else_uses_is_passed_over() -> None:
    engine, port = FakeEngine(), Port()
    made = networks(engine, port)
    engine.refusals = [EngineError("taken", EngineErrorKind.OVERLAP)]
    assert (await made.join(SPEC)).runtime_address == "198.18.2.1"


async def test_an_engine_that_refuses_is_asked_again_for_the_same_subnet() -> None:
    engine, port = FakeEngine(), Port()
    made = networks(engine, port)
    engine.refusals = [EngineError("it is tired")]
    with pytest.raises(EngineError, match="tired"):
        await made.join(SPEC)
    assert (await made.join(SPEC)).runtime_address == "198.18.0.1"
