"""init as PID 1 of a real container, hardened as an instance is."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_protocol import EXIT_GONE, EXIT_REFUSED, Ended
from tests.init.init_kit import NAME, SECRET, Instance, Stage
from tests.init.peers import DEADLINE_S
from tests.init.processes import below, gone, process_name
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.engine

IMAGE = os.environ.get("SCF_INSTANCE_IMAGE", "scf-sandbox/centos7:latest")
MIB = 1024 * 1024
SHELL = b"#!/bin/bash\n"
#: An instance's hardening, and no more than a function of 64 MB has.
HARDENED = (
    *(
        "--read-only",
        "--tmpfs=/tmp:size=512m,mode=1777,exec",
        "--user=qcloud",
        "--workdir=/var/user",
    ),
    *("--cap-drop=ALL", "--security-opt=no-new-privileges", "--ulimit=nofile=1024:1024"),
    *("--ulimit=core=0:0", "--entrypoint=/.scf/init", "--log-opt=max-size=10m"),
)


async def docker(*arguments: str) -> str:
    """What the command prints; its standard error goes to the test's."""
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return out.decode()


class Containers(Stage):
    """A stage whose inits run in containers."""

    def __init__(self, binary: Path, directory: Path) -> None:
        super().__init__(binary, directory)
        label = os.environ.get("SCF_TEST_INSTALLATION", "test")
        self.label = f"scf-sandbox={label}-{secrets.token_hex(4)}"
        directory.chmod(0o755)

    async def open(self) -> None:
        what = "{{range .IPAM.Config}}{{or .Gateway .Subnet}} {{end}}"
        first, *_ = (await docker("network", "inspect", "bridge", "-f", what)).split()
        # Without a gateway of its own choice the engine takes the subnet's first address.
        self.address = str(next(ip_network(first).hosts())) if "/" in first else first
        await super().open()

    async def create(self, *options: str, memory_mb: int = 64, pids: int = 1024) -> str:
        created = await docker(
            *("create", f"--label={self.label}", *HARDENED, f"--pids-limit={pids}"),
            *(f"--memory={memory_mb}m", f"--memory-swap={memory_mb}m"),
            f"--volume={self.binary}:/.scf/init:ro",
            f"--volume={self.directory}:/var/user:ro",
            f"--env=SCF_INIT_ADDRESS={self.address}:{self.port}",
            *(f"--env=SCF_INIT_SECRET={SECRET}", f"--env=SCF_RUNTIME_API={NAME}"),
            *(*options, IMAGE),
        )
        return created.strip()

    async def contain(
        self, script: bytes, *options: str, memory_mb: int = 64, pids: int = 1024
    ) -> tuple[str, Instance]:
        """A container that stands by. Its process stands for init: `docker wait`."""
        self.write(script if script[:2] == b"#!" else SHELL + script)
        container = await self.create(*options, memory_mb=memory_mb, pids=pids)
        await docker("start", container)
        peer = await self.arrived()
        process = await asyncio.create_subprocess_exec(
            "docker", "wait", container, stdout=asyncio.subprocess.PIPE
        )
        return container, self.instance(process, peer)

    async def exit_code(self, instance: Instance) -> int:
        """The container's."""
        async with asyncio.timeout(DEADLINE_S):
            await instance.process.wait()
        await eventually(lambda: instance.log.endswith(b"\n"), DEADLINE_S)
        return int(instance.log)

    async def host_pid(self, container: str) -> int:
        return int(await docker("inspect", "-f", "{{.State.Pid}}", container))

    async def close(self) -> None:
        found = (await docker("ps", "-aq", "--filter", f"label={self.label}")).split()
        if found:
            await docker("rm", "-f", "-v", *found)
        await super().close()
        assert not await docker("ps", "-aq", "--filter", f"label={self.label}")


@pytest.fixture
async def containers(binary: Path, tmp_path: Path) -> AsyncIterator[Containers]:
    stage = Containers(binary, tmp_path)
    await stage.open()
    yield stage
    await stage.close()


async def test_the_containers_exit_code_and_log_are_the_bootstraps(containers: Containers) -> None:
    container, instance = await containers.contain(
        b"for n in {1..500}; do echo line $n; echo error $n >&2; done; exit 6"
    )
    await instance.go()
    end = await instance.ended()

    assert end.code == 6
    assert await containers.exit_code(instance) == 6
    assert (await docker("logs", container)).encode() == bytes(instance.peer.output)
    assert instance.peer.output.endswith(b"line 500\nerror 500\n")


async def test_pid_1_is_init_and_the_secret_is_not_to_be_had(containers: Containers) -> None:
    _, instance = await containers.contain(
        b"cat /proc/1/environ; cat /proc/1/maps; ls /proc/1/fd; cat /proc/1/cmdline; echo;"
        b"env; cat /proc/self/environ; echo >/proc/1/fd/1; echo; echo $PPID"
    )
    await instance.go()
    await instance.ended()

    output = bytes(instance.peer.output)
    assert SECRET.encode() not in output
    assert b"SCF_INIT" not in output
    assert output.count(b"ermission denied") == 4
    assert output.endswith(b"\n1\n")


async def test_docker_stop_takes_no_time(containers: Containers) -> None:
    """Standing by, and running: the control plane answers the end with Q."""
    container, _ = await containers.contain(b"echo up; exec sleep 60")
    before = time.monotonic()
    await docker("stop", container)
    assert time.monotonic() - before < 1.5  # the client's own start is in it

    container, instance = await containers.contain(b"echo up; exec sleep 60")
    await instance.go()
    await instance.peer.said(b"up")
    stop = asyncio.ensure_future(docker("stop", container))
    before = time.monotonic()
    assert (await instance.ended()).code == 143
    asked = time.monotonic()
    await stop
    assert time.monotonic() - asked < 0.5
    assert asked - before < 1
    assert await containers.exit_code(instance) == 143


async def test_memory_is_that_of_the_control_group(containers: Containers) -> None:
    _, instance = await containers.contain(
        b"x=$(head -c 15000000 /dev/zero | tr '\\0' x); sleep .2; echo up; sleep 60"
    )
    await instance.go()
    await instance.peer.said(b"up")
    border = await instance.peer.flush()

    assert 15 * MIB < border.peak <= 64 * MIB
    assert border.oom_kills == 0


async def test_memory_of_a_tiny_function_is_not_nothing(containers: Containers) -> None:
    _, instance = await containers.contain(b"echo up; read -t 60 </dev/zero")
    await instance.go()
    await instance.peer.said(b"up")

    assert 50 * 1024 < (await instance.peer.flush()).peak < 8 * MIB


async def test_a_bootstrap_killed_for_want_of_memory(containers: Containers) -> None:
    _, instance = await containers.contain(b"echo up\nx=xxxxxxxxxxxxxxxx\nwhile :; do x=$x$x; done")
    await instance.go()
    end = await instance.ended()

    assert end.status == signal.SIGKILL
    assert end.oom_kills >= 1
    assert 30 * MIB < end.peak <= 64 * MIB
    assert bytes(instance.peer.output) == b"up\n"
    assert await containers.exit_code(instance) == 137


async def test_a_child_killed_for_want_of_memory_is_told_with_the_next_flush(
    containers: Containers,
) -> None:
    _, instance = await containers.contain(
        b"(echo 1000 >/proc/self/oom_score_adj; x=xxxxxxxx; while :; do x=$x$x; done)\n"
        b"echo killed $?; sleep 60"
    )
    await instance.go()
    await instance.peer.said(b"killed 137")

    assert (await instance.peer.flush()).oom_kills == 1


async def test_a_full_tmp_ends_the_function_and_not_init(containers: Containers) -> None:
    _, instance = await containers.contain(b"echo up; head -c 200000000 /dev/zero >/tmp/x; echo $?")
    await instance.go()
    end = await instance.ended()

    assert end.oom_kills >= 1
    assert end.status == signal.SIGKILL or b"137" in instance.peer.output
    assert await containers.exit_code(instance) == end.code


async def test_one_process_is_init_and_no_more(containers: Containers) -> None:
    _, instance = await containers.contain(b"echo up", pids=1)

    failure, end = await instance.fail()

    assert (failure.errno, failure.stage.name, end.code) == (11, "FORK", 126)
    assert await containers.exit_code(instance) == 126


async def test_a_function_at_the_limit_of_processes_is_answered(containers: Containers) -> None:
    _, instance = await containers.contain(
        b"for n in {1..60}; do sleep 60 & done 2>/dev/null; echo up; sleep 60",
        pids=40,
    )
    instance.peer.send(instance.peer.connection.go())
    await instance.peer.flush()
    instance.peer.send(instance.peer.connection.quit())

    assert await containers.exit_code(instance) in (137, 254)


async def test_an_init_killed_from_outside_is_known_at_once(containers: Containers) -> None:
    container, instance = await containers.contain(b"echo up; exec sleep 60")
    await instance.go()
    await instance.peer.said(b"up")
    pid = await containers.host_pid(container)
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)

    await eventually(lambda: instance.peer.hung_up)

    assert time.monotonic() - before < 0.5
    assert instance.peer.find(Ended) is None


async def test_a_control_plane_that_is_gone_leaves_no_container(containers: Containers) -> None:
    container, instance = await containers.contain(b"trap '' TERM INT; echo up; sleep 60", "--rm")
    await instance.go()
    await instance.peer.said(b"up")
    pids = below(await containers.host_pid(container))
    instance.peer.abort()

    await gone(*pids, deadline_s=1)
    async with asyncio.timeout(5):
        assert await containers.exit_code(instance) == EXIT_GONE

    async def removed() -> bool:
        return not await docker("ps", "-aq", "--filter", f"label={containers.label}")

    await eventually(removed, 5)


async def test_a_second_init_with_the_secret_is_the_control_planes_to_refuse(
    containers: Containers,
) -> None:
    """A `docker exec`, which the sandbox never does, has the container's environment."""
    container, instance = await containers.contain(b"echo up; exec sleep 60")
    await instance.go()
    containers.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    process = await asyncio.create_subprocess_exec(
        "docker", "exec", container, "/.scf/init", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert process.returncode == EXIT_REFUSED
    assert out == b"[init] the control plane refused this instance: HTTP/1.1 403 Forbidden\n"


async def test_a_stuck_engine_log_does_not_stop_a_function(containers: Containers) -> None:
    """The engine's own process for this container stands still: nobody reads the copy."""
    container, instance = await containers.contain(
        b"for n in {1..1000}; do printf '%04d%01019d\\n' $n 0; done; echo done; sleep 60"
    )
    shim = _parent(await containers.host_pid(container))
    assert "shim" in process_name(shim)
    os.kill(shim, signal.SIGSTOP)
    try:
        await instance.go()
        await instance.peer.said(b"done\n")
        border = await instance.peer.flush()
    finally:
        os.kill(shim, signal.SIGCONT)
    assert border.number == 1
    assert len(instance.peer.output) >= 1000 * 1024

    async def log() -> str:
        text = await docker("logs", container)
        return text if "the engine's log was too slow" in text else ""

    kept, _, rest = (await eventually(log)).partition("\n[init] ")
    assert bytes(instance.peer.output).startswith(kept.encode())
    assert int(rest.split()[0]) > 0


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
