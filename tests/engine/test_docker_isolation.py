"""What an instance can reach: the runtime API, by its own name; nothing else of ours."""

from __future__ import annotations

import asyncio
import subprocess
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_link import InitLink
from sandbox.instance.lifecycle import State
from tests.engine.isolation_kit import (
    PORT,
    SECONDS,
    UNPACK,
    Here,
    assert_unreached,
    compiled_reach,
    turmoil,
)
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

READY = 'curl -sS -o /dev/null -d " " "http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/init/ready"'


def connect(address: str, port: int) -> str:
    """Bash that prints whether a connection can be made."""
    return (
        f"if timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null;"
        f" then echo {address}:{port} reached; else echo closed; fi"
    )


@pytest.fixture
async def control_port() -> AsyncIterator[int]:
    """Something like the control API, which listens on the host's loopback address."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.timeout(60 + 2 * SECONDS)
async def test_no_instance_reaches_another_while_networks_come_and_go(
    docker_rig: Rig, installation: str, tmp_path: Path
) -> None:
    reach = {"reach": compiled_reach(tmp_path)}
    victim, heard = await docker_rig.launch(
        f"{UNPACK}; exec /tmp/reach listen {PORT}", function_name="victim", files=reach
    )
    victim.release()
    await eventually(lambda: bool(heard.lines))
    here = Here.said(heard.lines[0])
    assert here.address == victim.peer
    watchers = []
    async with turmoil(installation, docker_rig.settings.instance_image) as counted:
        for function_name in ("victim", "intruder"):
            intruder, watcher = await docker_rig.launch(
                f"{UNPACK}; {here.attempt(SECONDS)}", function_name=function_name, files=reach
            )
            intruder.release()
            watchers.append(watcher)
        for watcher in watchers:
            await eventually(lambda: bool(watcher.exits), SECONDS + 20)  # noqa: B023
    print(f"{counted.rounds} networks came and went")
    assert counted.rounds >= SECONDS / 10
    for watcher in watchers:
        assert_unreached(watcher.lines, SECONDS)
    assert heard.lines == [heard.lines[0]]
    _, writer = await asyncio.open_connection(here.address, PORT)  # it is there: we can
    writer.close()
    await heard.said("came tcp")


async def test_an_instance_has_no_ipv6_and_no_socket_below_tcp_and_udp(
    docker_rig: Rig, tmp_path: Path
) -> None:
    container, watcher = await docker_rig.launch(
        f"{UNPACK}; /tmp/reach raw; cat /proc/net/if_inet6;"
        " cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
        files={"reach": compiled_reach(tmp_path)},
    )
    container.release()
    await watcher.end()
    assert watcher.lines == [*["Operation not permitted"] * 3, "1"]


async def test_instances_of_two_functions_do_not_answer_each_other(docker_rig: Rig) -> None:
    victim = await docker_rig.instance(f"{READY}; sleep 1000 & wait", "victim")
    assert victim.container is not None
    victim.release(None)
    await eventually(lambda: victim.state is State.IDLE)
    address = victim.container.peer
    with pytest.raises(ConnectionRefusedError):  # it is there: this machine can reach it
        await asyncio.open_connection(address, 8000)
    # Without a listener a reachable host refuses at once; one behind a wall does not answer.
    probe = (
        f"curl -s --connect-timeout 2 http://{address}:8000/; echo curl $?;"
        f" ping -c 1 -W 1 {address} >/dev/null 2>&1 && echo answered; true"
    )
    container, watcher = await docker_rig.launch(probe, function_name="intruder")
    container.release()
    await watcher.end()
    assert watcher.lines == ["curl 28"]


async def test_a_function_does_not_find_the_box_in_which_its_init_posts(docker_rig: Rig) -> None:
    box = docker_rig.access.links.box
    assert box is not None
    looks = (
        f"ls /.scf/run/box >/dev/null 2>&1 || echo shut; find / -xdev -type s 2>/dev/null;"
        f" find /.scf/run -type s 2>/dev/null; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' |"
        f" grep -e SCF_INIT -e {box.name}; grep {box.name} /proc/net/unix /proc/self/mountinfo;"
        f" touch /.scf/run/x 2>/dev/null && echo writable; echo looked; sleep 600"
    )
    container, heard = await docker_rig.launch(looks)
    assert isinstance(container, InitLink)
    assert container._gauge is not None, "it came all the same"
    container.release()
    await eventually(lambda: "looked" in heard.lines)
    assert heard.lines == ["shut", "looked"]
    await container.destroy()


async def test_no_network_is_made_or_removed_after_the_start(
    docker_rig: Rig, installation: str
) -> None:
    before = our_networks(installation)
    assert len(before) == 1
    for function_name in ("one", "two"):
        container, _ = await docker_rig.launch("true", function_name=function_name)
        assert our_networks(installation) == before
        await container.destroy()
    assert our_networks(installation) == before


async def test_the_control_api_is_on_no_address_an_instance_can_reach(
    docker_rig: Rig, control_port: int
) -> None:
    container, _ = await docker_rig.launch("true")
    assert container.peer is not None
    gateway = gateway_of(docker_rig)
    # Other sandboxes of this machine may have a bridge, and anything on its gateway.
    instances = IPv4Network(docker_rig.settings.network_range)
    others = {a for a in host_addresses() if IPv4Address(a) not in instances}
    addresses = {gateway, "172.17.0.1", *others}
    probe = "\n".join(
        connect(address, port) for address in sorted(addresses) for port in (9000, control_port)
    )
    end, lines = await docker_rig.run(probe)
    assert end.code == 0
    assert lines == ["closed"] * (2 * len(addresses))


async def test_the_runtime_api_answers_no_unknown_name(docker_rig: Rig) -> None:
    end, lines = await docker_rig.run(
        'curl -sS -o /dev/null -w "%{http_code}\\n" -H "Host: unknown.scf:9001" -d " "'
        ' "http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/init/ready"'
    )
    assert end.code == 0
    assert lines == ["403"]


async def test_another_functions_runtime_address_knows_no_stranger(docker_rig: Rig) -> None:
    victim = await docker_rig.instance("sleep 1000 & wait", "victim")
    assert victim.container is not None
    assert victim.container.peer is not None
    host, gateway = victim.container.runtime_host, gateway_of(docker_rig)
    victim.release(None)  # a ready report would count now
    container, watcher = await docker_rig.launch(
        f'curl -s --connect-timeout 2 -o /dev/null -w "%{{http_code}}\\n" -d " "'
        f' --resolve "{host}:9001:{gateway}" "http://{host}:9001/runtime/init/ready"',
        function_name="intruder",
    )
    container.release()
    await watcher.end()
    assert watcher.lines in (["403"], ["000"])
    assert victim.state is State.INITIALISING


def gateway_of(rig: Rig) -> str:
    """Where the runtime API listens."""
    [network] = our_networks(rig.settings.installation)
    command = ["docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def our_networks(installation: str) -> list[str]:
    """The ids of the installation's networks."""
    command = ["docker", "network", "ls", "-q", "--filter", f"label=scf-sandbox={installation}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def host_addresses() -> list[str]:
    """Every IPv4 address of this machine that is not on loopback."""
    listing = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True)
    return [address for address in listing.stdout.split() if "." in address]
