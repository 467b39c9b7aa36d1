"""The network of instances on an engine that only pretends: its addresses, and having none."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.engine.docker.client import ContainerFacts, NetworkFacts
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.lend_port import lend
from sandbox.engine.docker.lent_port import receive
from sandbox.engine.docker.networks import DEVICE_CHARS, InstanceNetwork, device_name
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.engine.docker.client import DockerClient


class FakeEngine:
    """Remembers the networks it was asked to make; ``refusals`` come first."""

    def __init__(self) -> None:
        self.networks: dict[str, str] = {}
        self.refusals: list[EngineError] = []

    async def create_network(
        self, name: str, subnet: str, _gateway: str, _labels: dict[str, str], *, device: str
    ) -> str:
        assert device == "scf-test"
        if self.refusals:
            raise self.refusals.pop(0)
        self.networks[name] = subnet
        return name


class Port:
    """The runtime API's port, which may be another program's."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.addresses: list[str] = []

    async def listen(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        assert listener is None
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.addresses.append(address)
        return cast("asyncio.AbstractServer", asyncio.Server)


def network(engine: FakeEngine, addresses: str = "198.18.0.0/15") -> InstanceNetwork:
    settings = Settings(network_range=addresses)
    return InstanceNetwork(cast("DockerClient", engine), Labels("test"), settings)


async def test_it_is_made_once_and_the_runtime_api_listens_on_its_gateway() -> None:
    engine, port = FakeEngine(), Port()
    made = network(engine)
    await made.open(port.listen)
    assert engine.networks == {"scf-test-198.18.0.0": "198.18.0.0/22"}
    assert port.addresses == [made.gateway] == ["198.18.0.1"]
    assert made.size == 1021


async def test_a_runtime_port_that_is_taken_is_the_engines_error_and_says_what_to_do() -> None:
    with pytest.raises(EngineError, match=r"198\.18\.0\.1 port 9001 .*SCF_RUNTIME_PORT"):
        await network(FakeEngine()).open(Port(errno.EADDRINUSE).listen)


async def test_an_engine_on_another_machine_is_said_to_be_one() -> None:
    with pytest.raises(EngineError, match="another machine"):
        await network(FakeEngine()).open(Port(errno.EADDRNOTAVAIL).listen)


async def test_addresses_that_somebody_else_uses_are_passed_over() -> None:
    engine = FakeEngine()
    engine.refusals = [EngineError("taken", EngineErrorKind.OVERLAP)]
    made = network(engine)
    await made.open(Port().listen)
    assert made.gateway == "198.18.4.1"


async def test_a_range_without_free_addresses_names_its_setting() -> None:
    engine = FakeEngine()
    engine.refusals = [EngineError("taken", EngineErrorKind.OVERLAP)] * 4
    with pytest.raises(EngineError, match="SCF_NETWORK_RANGE"):
        await network(engine, "10.1.0.0/20").open(Port().listen)


async def test_another_refusal_of_the_engine_is_passed_on() -> None:
    engine = FakeEngine()
    engine.refusals = [EngineError("it is tired")]
    with pytest.raises(EngineError, match="tired"):
        await network(engine).open(Port().listen)


async def test_an_address_is_one_instances_at_a_time_and_given_on_late() -> None:
    made = network(FakeEngine(), "10.1.0.0/28")
    await made.open(Port().listen)
    addresses = [made.take() for _ in range(made.size)]
    assert addresses == [f"10.1.0.{n}" for n in range(2, 15)]
    with pytest.raises(EngineError, match="13 instances"):
        made.take()
    made.give_back("10.1.0.9")
    made.give_back("10.1.0.4")
    made.give_back("10.1.0.4")
    assert [made.take(), made.take()] == ["10.1.0.4", "10.1.0.9"]


@pytest.mark.parametrize("installation", ["default", "a", "of-a-very-long-name-indeed"])
def test_the_bridge_has_a_name_that_a_firewall_can_use(installation: str) -> None:
    name = device_name(installation)
    assert name == device_name(installation)
    assert name.startswith("scf-")
    assert len(name) <= DEVICE_CHARS


class InContainer(FakeEngine):
    """What the engine says of the control plane's own container and its networks."""

    def __init__(self, *, closed: bool) -> None:
        super().__init__()
        self._closed = closed

    async def container_facts(self, container: str) -> ContainerFacts:
        assert container == socket.gethostname()
        return ContainerFacts("image", {}, {"other": "10.9.0.2", "compose": "10.8.0.2"})

    async def network_facts(self, network: str) -> NetworkFacts:
        return NetworkFacts("10.8.0.1", closed=self._closed and network == "compose")


def in_container(engine: InContainer) -> InstanceNetwork:
    settings = Settings(control_container=True)
    return InstanceNetwork(cast("DockerClient", engine), Labels("test"), settings)


async def test_in_a_container_an_open_bridge_is_refused() -> None:
    with pytest.raises(EngineError, match=r"enable_icc=false\): start it with .*compose\.yaml"):
        await in_container(InContainer(closed=False)).open(Port().listen)


async def test_in_a_container_the_bridge_of_compose_is_taken_and_none_is_made() -> None:
    engine = InContainer(closed=True)
    made = in_container(engine)
    with pytest.raises(EngineError, match="no volume at /run/scf-sandbox"):
        await made.open(Port().listen)
    assert (made.name, made.gateway, made.take()) == ("compose", "10.8.0.1", "")
    assert engine.networks == {}


def test_a_lent_port_is_open_and_a_taken_one_is_told_of(tmp_path: Path) -> None:
    path = str(tmp_path / "door")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(2)
        lend("127.0.0.1", 0, path)
        with receive(door) as lent:
            address, port = lent.getsockname()
            socket.create_connection((address, port), timeout=5).close()
            lend(address, port, path)
            with pytest.raises(OSError, match="in use"):
                receive(door)
