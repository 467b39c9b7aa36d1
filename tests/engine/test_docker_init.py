"""What only containers show of their init: the image it is in, their logs, how they end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.utils import kwargs_from_env

from sandbox.engine.docker.engine import DockerEngine
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.instance.environment import FIXED
from tests.engine.engine_kit import Watcher
from tests.engine.rigs import docker_leftovers, open_rig
from tests.support.waiting import eventually
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.engine.docker.options import ContainerOptions
    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine

LINGER = "sleep 1000 & wait"

#: A control plane that is killed before it can tidy up.
CONTROL_PLANE = """
import asyncio, json, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from tests.engine.rigs import open_rig

async def main():
    async with open_rig("docker", Path(sys.argv[2]), sys.argv[3], tmp="auto") as rig:
        waiting, _ = await rig.launch("echo never")
        running, said = await rig.launch("(setsid sleep 1000 &); echo up; sleep 1000 & wait")
        running.release()
        await said.said("up")
        print(waiting.container_id, running.container_id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def client() -> Iterator[Any]:
    client: Any = docker.APIClient(**kwargs_from_env())
    yield client
    client.close()


async def test_the_engines_log_shows_the_output(docker_rig: Rig, client: Any) -> None:
    container, watcher = await docker_rig.launch(
        f"for i in {{1..300}}; do echo out $i; echo err $i >&2; done; echo end; {LINGER}"
    )
    container.release()
    await watcher.said("end")
    await watcher.border(container)
    shown = await asyncio.to_thread(client.logs, container.container_id, stderr=False)
    assert shown == watcher._data
    assert await asyncio.to_thread(client.logs, container.container_id, stdout=False) == b""
    await container.destroy()


async def test_the_exit_code_is_the_containers(docker_rig: Rig, client: Any) -> None:
    container, watcher = await docker_rig.launch("exit 6")
    container.release()
    await watcher.end()
    assert (await asyncio.to_thread(client.wait, container.container_id))["StatusCode"] == 6
    await container.destroy()


async def test_an_image_without_init_is_refused_with_what_to_do(
    docker_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(docker_rig.engine, DockerEngine)
    create = docker_rig.engine.client.create_container

    async def without_init(options: ContainerOptions) -> str:
        covered = {**options.tmpfs, "/.scf": ""}
        object.__setattr__(options, "tmpfs", covered)
        return await create(options)

    monkeypatch.setattr(docker_rig.engine.client, "create_container", without_init)
    with pytest.raises(EngineError, match=r"has no /\.scf/init.*build it again") as caught:
        await docker_rig.launch("true")
    assert caught.value.kind is EngineErrorKind.NO_INIT


async def test_an_image_without_our_user_is_refused_with_what_to_do(
    docker_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(docker_rig.engine, DockerEngine)
    create = docker_rig.engine.client.create_container

    async def as_nobody(options: ContainerOptions) -> str:
        object.__setattr__(options, "user", "who-is-not-there")
        return await create(options)

    monkeypatch.setattr(docker_rig.engine.client, "create_container", as_nobody)
    with pytest.raises(EngineError, match=r"has no user qcloud.*build it again") as caught:
        await docker_rig.launch("true")
    assert caught.value.kind is EngineErrorKind.NO_USER


async def test_a_container_stops_at_once(docker_rig: Rig, client: Any) -> None:
    took = []
    for _ in range(3):  # the engine itself may be slow: the best of three counts
        container, watcher = await docker_rig.launch(f"echo up; {LINGER}")
        container.release()
        await watcher.said("up")
        began = time.monotonic()
        await asyncio.to_thread(client.stop, container.container_id)
        took.append(time.monotonic() - began)
        assert (await watcher.end()).code == 128 + signal.SIGTERM
        await container.destroy()
    assert min(took) < 0.5, took


async def test_a_container_that_is_killed_from_outside_is_the_functions_end(
    docker_rig: Rig, client: Any
) -> None:
    waiting, waiting_said = await docker_rig.launch("true")
    running, running_said = await docker_rig.launch(f"echo up; {LINGER}")
    running.release()
    await running_said.said("up")
    for container in (waiting, running):
        await asyncio.to_thread(client.kill, container.container_id)
    assert "before it was released" in str(await waiting_said.end())
    assert "with its init" in str(await running_said.end())
    await waiting.destroy()
    await running.destroy()
    assert len(waiting_said.exits) == len(running_said.exits) == 1


async def test_nothing_outlives_a_killed_control_plane(
    tmp_path: Path, installation: str, client: Any
) -> None:
    root = str(Path(__file__).parents[2])
    arguments = ["-c", CONTROL_PLANE, json.dumps([root]), str(tmp_path), installation]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        ids = (await process.stdout.readline()).decode().split()
    inits = [client.inspect_container(found)["State"]["Pid"] for found in ids]
    assert len(inits) == 2
    process.kill()
    await process.wait()
    await eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inits), within_s=1)
    async with open_rig("docker", tmp_path, installation):
        pass  # sweeps what is left of the containers, and looks
    assert docker_leftovers(installation) == []


async def test_the_secret_is_nowhere_to_be_seen(docker_rig: Rig, client: Any) -> None:
    container, watcher = await docker_rig.launch(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; echo seen"
    )
    container.release()
    await watcher.said("seen")
    found = await asyncio.to_thread(client.inspect_container, container.container_id)
    pairs = dict(pair.split("=", 1) for pair in found["Config"]["Env"])
    assert pairs["SCF_INIT_SECRET"].encode() not in watcher.data
    assert b"SCF_INIT_" not in watcher.data
    await container.destroy()


async def test_a_secret_is_good_once(docker_rig: Rig, client: Any) -> None:
    container, _ = await docker_rig.launch(f"echo up; {LINGER}")
    found = await asyncio.to_thread(client.inspect_container, container.container_id)
    pairs = dict(pair.split("=", 1) for pair in found["Config"]["Env"])
    address, port = pairs["SCF_INIT_ADDRESS"].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(
        f"GET /runtime/instance HTTP/1.1\r\nHost: {pairs['SCF_RUNTIME_API']}\r\n"
        "Connection: Upgrade\r\nUpgrade: scf-init/1\r\n"
        f"Scf-Init-Secret: {pairs['SCF_INIT_SECRET']}\r\n\r\n".encode()
    )
    assert (await reader.read()).startswith(b"HTTP/1.1 403 ")
    writer.close()
    await writer.wait_closed()
    await container.destroy()


async def test_an_engine_configured_for_a_proxy_keeps_the_runtime_api_off_it(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "http://127.0.0.1:9"
    (tmp_path / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": proxy, "noProxy": "example.test"}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with open_rig("docker", tmp_path, installation) as rig:
        end, lines = await rig.run(
            'echo "$http_proxy"; curl -s -o /dev/null -w "%{http_code}"'
            " http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/"
        )
    assert end.code == 0
    assert lines == [proxy, "403"]


async def test_the_environment_is_exactly_as_configured(docker_rig: Rig) -> None:
    watcher = Watcher()
    package = {"bootstrap": "#!/bin/cat /proc/self/environ\n"}
    digest = docker_rig.packages.save(zip_of(package)).digest
    container = await docker_rig.engine.launch(docker_rig.spec(digest), watcher)
    container.release()
    await watcher.end()
    pairs = (pair.partition("=") for pair in watcher.data.decode().split("\0") if pair)
    environment = {name: value for name, _, value in pairs if "\n" not in name}
    assert re.fullmatch("[0-9a-f]{12}", environment.pop("HOSTNAME"))
    ours = {"MARK", "SCF_RUNTIME_API", "SCF_RUNTIME_API_PORT", "NO_PROXY", "no_proxy"}
    assert {k: v for k, v in environment.items() if k not in ours} == FIXED
    await container.destroy()
