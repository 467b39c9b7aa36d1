"""What only the process engine does: loopback addresses, isolation, no process left behind."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop

from sandbox.engine.process.engine import ProcessEngine
from sandbox.engine.process.host import HostLocale
from sandbox.engine.process.isolation import Places, PlainProcess
from sandbox.engine.process.loopback import ATTEMPTS, LoopbackAddresses
from sandbox.errors import EngineError
from sandbox.packages.package import PackageStore
from sandbox.settings import Settings
from tests.engine.engine_kit import Watcher
from tests.engine.rigs import open_rig, process_leftovers
from tests.init.processes import below, children
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tests.engine.engine_kit import Rig

#: A control plane that is killed before it can tidy up.
CONTROL_PLANE = """
import asyncio, json, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from tests.engine.rigs import open_rig

async def main():
    async with open_rig(sys.argv[2], Path(sys.argv[3]), sys.argv[4]) as rig:
        waiting, _ = await rig.launch("echo never")
        running, said = await rig.launch("(setsid sleep 1000 &); echo up; sleep 1000 & wait")
        running.release()
        await said.said("up")
        print("running", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class BrokenIsolation(PlainProcess):
    """Starts something that fails before the bootstrap can be released."""

    def command(self, init: Path, options: Sequence[str], arguments_fd: int) -> tuple[str, ...]:
        return ("/bin/sh", "-c", "echo 'no namespaces here' >&2; exit 1")


class SecretiveIsolation(PlainProcess):
    """Remembers the command lines that the engine executes."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, ...]] = []

    def command(self, init: Path, options: Sequence[str], arguments_fd: int) -> tuple[str, ...]:
        self.commands.append(super().command(init, options, arguments_fd))
        return self.commands[-1]


@pytest.mark.parametrize("kind", ["bubblewrap", "plain"])
async def test_nothing_outlives_a_killed_control_plane(
    kind: str, tmp_path: Path, installation: str
) -> None:
    async with open_rig(kind, tmp_path / "probe", installation):
        pass  # skips where there is no such isolation
    paths = json.dumps([os.getcwd()])
    arguments = ["-c", CONTROL_PLANE, paths, kind, str(tmp_path), installation]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"running\n"
    pids = below(process.pid)
    assert len(pids) > 4
    process.kill()
    await process.wait()
    await eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    async with open_rig(kind, tmp_path, installation) as rig:
        assert not list((rig.settings.data_dir / "process").glob("scratch/*"))


async def test_addresses_are_the_instances_own_and_never_127_0_0_1(process_rig: Rig) -> None:
    containers = [(await process_rig.launch("true"))[0] for _ in range(5)]
    addresses = {container.runtime_host for container in containers}
    assert len(addresses) == 5
    assert all(address.startswith("127.") for address in addresses)
    assert "127.0.0.1" not in addresses
    assert [c.peer for c in containers] == [c.runtime_host for c in containers]


async def test_an_address_is_free_again_after_the_end(process_rig: Rig) -> None:
    container, _ = await process_rig.launch("true")
    await container.destroy()
    server = await process_rig.runtime.listen(container.runtime_host)
    server.close()


async def test_a_taken_address_is_passed_over() -> None:
    asked: list[str] = []
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)

    async def listen(address: str, listener: socket.socket | None = None) -> asyncio.AbstractServer:
        asked.append(address)
        if len(asked) < 3:
            raise OSError(errno.EADDRINUSE, "address in use")
        return server

    address, _ = await LoopbackAddresses(listen).take("f" * 32)
    server.close()
    assert address == asked[2]
    assert len(set(asked)) == 3


@pytest.mark.parametrize(
    ("code", "advice", "attempts"),
    [
        (errno.EADDRINUSE, "SCF_RUNTIME_PORT", ATTEMPTS),
        (errno.EADDRNOTAVAIL, "docker engine", 1),
        (errno.EACCES, "cannot listen", 1),
    ],
)
async def test_without_an_address_the_error_says_what_to_do(
    code: int, advice: str, attempts: int
) -> None:
    asked: list[str] = []

    async def listen(address: str, listener: socket.socket | None = None) -> asyncio.AbstractServer:
        asked.append(address)
        raise OSError(code, "no")

    with pytest.raises(EngineError, match=advice):
        await LoopbackAddresses(listen).take("0" * 32)
    assert len(asked) == attempts


async def test_a_process_that_cannot_start_is_the_engines_error(
    tmp_path: Path, installation: str
) -> None:
    async def broken(_accounts: Path) -> PlainProcess:
        return BrokenIsolation()

    settings = Settings(data_dir=tmp_path, installation=installation)
    packages = PackageStore(tmp_path / "packages")
    async with open_rig("plain", tmp_path / "other", installation) as rig:
        engine = ProcessEngine(settings, packages, broken)
        await engine.open(rig.access)
        rig.engine, rig.packages = engine, packages
        watcher = Watcher()
        with pytest.raises(EngineError, match="no namespaces here"):
            await engine.launch(rig.spec(rig.save("true")), watcher)
        assert watcher.exits == []
        await engine.close()
        assert process_leftovers(settings) == []


async def test_a_missing_package_is_an_error_and_leaves_nothing(plain_rig: Rig) -> None:
    spec = plain_rig.spec("0" * 64)
    for _ in range(2):
        with pytest.raises(Exception, match="upload the code again"):
            await plain_rig.engine.launch(spec, Watcher())


async def test_no_variable_is_in_a_command_line(tmp_path: Path, installation: str) -> None:
    isolation = SecretiveIsolation()

    async def choose(_accounts: Path) -> SecretiveIsolation:
        return isolation

    async with open_rig("plain", tmp_path, installation) as rig:
        settings = Settings(data_dir=tmp_path / "second", installation=installation)
        engine = ProcessEngine(settings, rig.packages, choose)
        await engine.open(rig.access)
        spec = rig.spec(rig.save("true"), environment={"SECRET": "xyzzy"})
        await engine.launch(spec, Watcher())
        await engine.close()
    assert isolation.commands
    assert "xyzzy" not in str(isolation.commands)


async def test_bubblewrap_shows_nothing_of_the_machine(bubblewrap_rig: Rig) -> None:
    _, lines = await bubblewrap_rig.run(
        "id -un; id -u; ls /home; ls /proc | grep -c '^[0-9]'; ls /root /var/lib 2>/dev/null;"
        " grep CapEff /proc/self/status; date +%Z; hostname | wc -c"
    )
    names, processes, rest = lines[:3], int(lines[3]), lines[4:]
    assert names == ["qcloud", "1000", "qcloud"]
    assert processes <= 6  # init, bash, ls, grep
    assert rest == ["CapEff:\t0000000000000000", "UTC", "13"]


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_bubblewraps_tmp_is_512_mb_beside_the_memory(bubblewrap_rig: Rig) -> None:
    fill = "dd if=/dev/zero of=/tmp/fill bs=1M count"
    end, lines = await bubblewrap_rig.run(
        f"{fill}=300 2>/dev/null && echo filled; {fill}=600 2>&1 | grep -o 'No space.*'",
        memory_mb=64,
    )
    assert (end.code, lines) == (0, ["filled", "No space left on device"])
    info = bubblewrap_rig.engine.info
    assert (info.beside_mb, info.tmp.split(":")[0]) == (512, "memory")


async def test_what_a_function_preloads_is_not_loaded_outside(bubblewrap_rig: Rig) -> None:
    container, watcher = await bubblewrap_rig.launch(
        'echo "$LD_PRELOAD" 2>/dev/null', environment={"LD_PRELOAD": "/var/user/evil.so"}
    )
    bubblewrap = children(os.getpid())[0]
    assert b"LD_PRELOAD" not in environment_of(bubblewrap)
    container.release()
    await watcher.end()
    assert watcher.lines[-1] == "/var/user/evil.so"


async def test_without_isolation_variables_name_the_real_places(plain_rig: Rig) -> None:
    layer = plain_rig.save("", in_layer="x")
    container, watcher = await plain_rig.launch(
        'ls "${USER_CODE_ROOT}bootstrap" "$TMPDIR" >&2; [ -w "$TMPDIR" ] && [ "$TZ" = UTC ]'
        ' && ls "${PYTHONPATH#*:}"',
        layers=(layer,),
    )
    container.release()
    assert (await watcher.end()).code == 0
    assert watcher.lines[-1] == "in_layer"


def test_a_users_time_zone_stands_without_isolation(tmp_path: Path) -> None:
    places = Places(tmp_path, None, tmp_path)
    assert PlainProcess().environment(places, {})["TZ"] == "UTC"
    assert PlainProcess().environment(places, {"TZ": "Asia/Shanghai"})["TZ"] == "Asia/Shanghai"


def test_a_locale_that_is_not_there_is_replaced() -> None:
    environment = {"LANG": "en_US.UTF8", "LC_TIME": "zh_CN.UTF-8"}
    assert HostLocale(there=True).apply(environment) == environment
    replaced = HostLocale(there=False).apply(environment)
    assert replaced == {"LANG": "C.UTF-8", "LC_TIME": "zh_CN.UTF-8"}


async def test_kill_zero_in_a_bootstrap_ends_only_that_instance(process_rig: Rig) -> None:
    other, other_said = await process_rig.launch("echo up; sleep 1000 & wait")
    other.release()
    await other_said.said("up")
    end, _ = await process_rig.run("kill -KILL 0")
    assert end.code == 137
    assert other_said.exits == []


async def test_what_python_ignores_is_not_ignored_in_a_function(process_rig: Rig) -> None:
    _, lines = await process_rig.run("grep SigIgn /proc/self/status")
    ignored = int(lines[0].split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_the_engine_works_on_uvloop_too(tmp_path: Path, installation: str) -> None:
    async def main() -> None:
        async with open_rig("plain", tmp_path, installation) as rig:
            end, lines = await rig.run("echo out; echo err >&2; exit 4")
            assert end.code == 4
            assert lines == ["out", "err"]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
