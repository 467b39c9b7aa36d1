"""Instances as containers of a Docker engine. The only module that imports ``docker``.

docker-py blocks, so its calls run in threads of the engine's own; the attach connection of a
container is handed to the event loop, so a running instance costs no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import docker
import structlog
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import kwargs_from_env

from sandbox import limits
from sandbox.engine.base import EngineInfo, Exit, InstanceSpec, Sink
from sandbox.engine.docker.attach import AttachProtocol
from sandbox.engine.docker.cgroup import MemoryGauge
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.networks import FunctionNetworks
from sandbox.engine.docker.stats import EngineStats
from sandbox.engine.docker.volumes import CodeVolumes
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient as RawClient

    from sandbox.engine.base import Listen
    from sandbox.engine.docker.networks import Place
    from sandbox.packages.package import Package, PackageStore
    from sandbox.settings import Settings

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

#: Waits for its release on standard input, then runs the bootstrap. ``2>&1`` keeps stdout and
#: stderr in the order in which they were written, as the cloud's logs are. The shell outlives the
#: bootstrap to report its end on the container's own stderr, which nothing else uses: the engine
#: itself would take 90 ms to notice, and the memory peak would be gone with the control group.
ENTRY = [
    "sh",
    "-c",
    "read -r _ && ./bootstrap </dev/null 2>&1; echo bootstrap ended: $? >&2; read -r _",
]
ENDED = re.compile(rb"bootstrap ended: ([0-9]{1,3})\n\Z")
#: Kept of what else comes there: a function can write to it too, through /proc/1/fd/2.
REPORT_BYTES = 64

#: Signals the bootstrap from inside: the child of the shell that is the init process's first child.
SIGNAL = """
read -r shell _ </proc/1/task/1/children
read -r bootstrap _ </proc/$shell/task/$shell/children
kill -s "$1" "$bootstrap"
"""

KILLED = 128 + signal.SIGKILL

#: What the bootstrap wrote last may come after the report of its end, on another stream: the end
#: counts when the output was quiet this long, or at the latest after the second figure (a child may
#: write on, and an invocation ends within 100 ms). Seconds.
LAST_WORDS_S = 0.01
LAST_WORDS_MAX_S = 0.07
#: How long the attach stream of a removed container may take to end, seconds.
DETACH_S = 2.0

CREATE_TIMEOUT_S = 120


class DockerContainer:
    """One instance's container: its attach connection, its memory gauge, its end."""

    def __init__(
        self, engine: DockerEngine, spec: InstanceSpec, container_id: str, peer: str, sink: Sink
    ) -> None:
        self.container_id = container_id
        self.runtime_host = f"{spec.instance_id}.scf"
        self.peer = peer
        self._engine = engine
        self._spec = spec
        self._sink = sink
        self._gauge = MemoryGauge(engine.cgroup_root, container_id)
        self._stats = EngineStats(engine, container_id)
        self._transport: asyncio.WriteTransport | None = None
        self._destroying: asyncio.Task[None] | None = None
        self._reports = b""
        self._ended = False
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0

    async def connect(self, sock: socket.socket) -> None:
        """Take over the attach connection."""
        protocol = AttachProtocol(self._output, self._report, self._detached)
        transport, _ = await self._loop.create_connection(lambda: protocol, sock=sock)
        self._transport = transport

    def release(self) -> None:
        assert self._transport is not None
        self._transport.write(b"\n")
        self.memory_peak()

    def memory_peak(self) -> int:
        return self._gauge.peak() or self._stats.peak()

    def oom_kills(self) -> int:
        return self._gauge.oom_kills()

    async def send_signal(self, number: signal.Signals) -> None:
        # The engine itself could signal only the init process, which hands it to the shell.
        client, run = self._engine.client, self._engine.run
        command = ["sh", "-c", SIGNAL, "sh", str(int(number))]
        created = await run(client.exec_create, self.container_id, command)
        await run(client.exec_start, created["Id"])
        state = await run(client.exec_inspect, created["Id"])
        if state["ExitCode"] != 0:
            raise EngineError("there is no bootstrap left to be signalled")

    async def destroy(self) -> None:
        if self._destroying is None:
            self._destroying = asyncio.ensure_future(self._destroy())
        await asyncio.shield(self._destroying)

    async def _destroy(self) -> None:
        try:
            await self._engine.remove_container(self.container_id)
        finally:
            if self._transport is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._gone.wait(), DETACH_S)
                self._transport.close()
            self._gauge.close()
            await self._engine.networks.leave(self._spec, self.peer)

    def _report(self, data: bytes) -> None:
        """The shell around the bootstrap speaks."""
        self._reports = (self._reports + data)[-REPORT_BYTES:]
        found = ENDED.search(self._reports)
        if found and not self._ended:
            self._ended = True
            code, peak = int(found[1]), self._gauge.peak()
            if code == KILLED and not peak:
                self._engine.spawn(self._report_kill())
            else:
                exit = Exit(code, oom_killed=self._gauge.oom_kills() > 0)
                self._last_words(exit, self._loop.time() + LAST_WORDS_MAX_S)

    def _output(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        self._sink.output(data)

    def _last_words(self, exit: Exit, deadline: float) -> None:
        """Pass on the end once the output is quiet."""
        self._loop.call_later(LAST_WORDS_S, self._quiet, exit, deadline, self._heard_at)

    def _quiet(self, exit: Exit, deadline: float, heard_at: float) -> None:
        if self._heard_at == heard_at or self._loop.time() >= deadline or self._gone.is_set():
            self._sink.ended(exit)
        else:
            self._last_words(exit, deadline)

    def _detached(self) -> None:
        """The attach stream has ended: the container is gone, or the engine is."""
        self._gone.set()
        if self._ended:
            return
        self._ended = True
        if self._destroying is not None:
            self._sink.ended(Exit(KILLED))
        else:
            self._engine.spawn(self._report_exit())

    async def _report_exit(self) -> None:
        self._sink.ended(await self._engine.exit_of(self.container_id))

    async def _report_kill(self) -> None:
        """Only the engine can tell whether it was for want of memory, once the shell ends too."""
        self.release()
        end = await self._engine.exit_of(self.container_id)
        self._sink.ended(Exit(KILLED, oom_killed=end.oom_killed))


class DockerEngine:
    """Owns the connection to the engine and everything of ours that lives in it."""

    def __init__(self, settings: Settings, packages: PackageStore) -> None:
        """``EngineError`` when no engine answers."""
        try:
            self.client: RawClient = docker.APIClient(**kwargs_from_env(), timeout=CREATE_TIMEOUT_S)
        except (DockerException, OSError) as error:
            raise EngineError(
                f"no container engine answers: start one (scripts/engine), or set"
                f" SCF_ENGINE=process to do without ({error})"
            ) from error
        self.cgroup_root = settings.cgroup_root
        self.memory_total_mb = 0
        self.info = EngineInfo("docker", "", settings.instance_image, "", True)
        self.labels = Labels(settings.installation)
        self._settings = settings
        self._threads = ThreadPoolExecutor(
            settings.start_parallelism + 4, thread_name_prefix="docker"
        )
        self.networks = FunctionNetworks(self, settings)
        self._code = CodeVolumes(self, settings.instance_image, packages)
        self._starting = asyncio.Semaphore(settings.start_parallelism)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """One blocking docker-py call in a thread; its errors become EngineError."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(call, *args, **kwargs))
        except ImageNotFound as error:
            raise EngineError(
                f"the image {self._settings.instance_image} is not there: run scripts/images, or"
                " docker compose build"
            ) from error
        except (APIError, DockerException, OSError) as error:
            raise EngineError(f"the container engine refused: {error}") from error

    def spawn(self, work: Any) -> None:
        """A task of the engine's own, ended with it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, listen: Listen) -> None:
        facts = await self.run(self.client.info)
        self.memory_total_mb = facts["MemTotal"] // limits.MIB
        image = await self.run(self.client.inspect_image, self._settings.instance_image)
        base = (image["Config"].get("Labels") or {}).get("scf-sandbox.base", "unknown")
        self.info = EngineInfo(
            name="docker",
            version=facts["ServerVersion"],
            image=self._settings.instance_image,
            base=base,
            os_parity=True,
            details={"cgroup": facts.get("CgroupVersion", "1"), "storage": facts["Driver"]},
        )
        await self.sweep()
        await self.networks.open(listen)

    def expect(self, code_digest: str) -> None:
        self._code.expect(code_digest)

    def take(self, package: Package) -> None:
        self._code.take(package)

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        await self._code.code(code_digest)
        if layers:
            await self._code.layers(layers)

    async def forget(self, code_digest: str) -> None:
        await self._code.forget(code_digest)

    async def launch(self, spec: InstanceSpec, sink: Sink) -> DockerContainer:
        async with self._starting:
            with self._code.held(spec.code_digest, *spec.layers):
                return await self._launch(spec, sink)

    async def _launch(self, spec: InstanceSpec, sink: Sink) -> DockerContainer:
        mounts = [_mount(await self._code.code(spec.code_digest), "/var/user")]
        if spec.layers:
            mounts.append(_mount(await self._code.layers(spec.layers), "/opt"))
        place = await self.networks.join(spec)
        container_id = ""
        try:
            container_id, sock = await self.run(self._create, spec, mounts, place)
            container = DockerContainer(self, spec, container_id, place.peer, sink)
            await container.connect(sock)
            await self.run(self.client.start, container_id)
        except BaseException:
            if container_id:
                await self.remove_container(container_id)
            await self.networks.leave(spec, place.peer)
            raise
        return container

    def _create(
        self, spec: InstanceSpec, mounts: list[Any], place: Place
    ) -> tuple[str, socket.socket]:
        client = self.client
        environment = {
            **spec.environment,
            "SCF_RUNTIME_API": f"{spec.instance_id}.scf",
            "SCF_RUNTIME_API_PORT": str(self._settings.runtime_port),
            "NO_PROXY": f"{spec.instance_id}.scf",
            "no_proxy": f"{spec.instance_id}.scf",
        }
        # The published types know a single endpoint where the library takes one per network.
        endpoints: Any = {place.network: client.create_endpoint_config(ipv4_address=place.peer)}
        created = client.create_container(
            self._settings.instance_image,
            name=f"scf-{self._settings.installation}-{spec.function_name}-{spec.instance_id[:12]}",
            command=ENTRY,
            entrypoint=[],
            user="qcloud",
            working_dir="/var/user",
            environment=environment,
            stdin_open=True,
            labels=self.labels.of("instance", function=f"{spec.namespace}/{spec.function_name}"),
            networking_config=client.create_networking_config(endpoints),
            host_config=client.create_host_config(
                init=True,
                read_only=True,
                tmpfs={"/tmp": f"size={limits.TMP_BYTES},mode=1777,exec"},
                mounts=mounts,
                mem_limit=f"{spec.memory_mb}m",
                memswap_limit=f"{spec.memory_mb}m",
                cpu_shares=max(2, 1024 * spec.memory_mb // limits.MEMORY_PER_CORE_MB),
                pids_limit=limits.MAX_PIDS,
                ulimits=[
                    docker.types.Ulimit(name="nofile", soft=limits.MAX_FDS, hard=limits.MAX_FDS),
                    docker.types.Ulimit(name="core", soft=0, hard=0),
                ],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                extra_hosts={f"{spec.instance_id}.scf": place.runtime_address},
                network_mode=place.network,
                log_config=docker.types.LogConfig(
                    type="json-file", config={"max-size": "10m", "max-file": "2"}
                ),
            ),
        )
        container_id: str = created["Id"]
        try:
            return container_id, self._attach(container_id)
        except BaseException:
            client.remove_container(container_id, force=True)
            raise

    def _attach(self, container_id: str) -> socket.socket:
        attached = self.client.attach_socket(
            container_id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        # A duplicate of the descriptor outlives docker-py's response object.
        sock = socket.socket(fileno=os.dup(attached.fileno()))
        sock.setblocking(False)
        # Closing what docker-py returns leaves its socket open until it is collected as garbage.
        attached._response.close()
        return sock

    def create_network(self, name: str, subnet: str, gateway: str, function: str) -> str:
        """A function's network; blocks, returns its id."""
        pool = docker.types.IPAMPool(subnet=subnet, gateway=gateway)
        created = self.client.create_network(
            name,
            driver="bridge",
            ipam=docker.types.IPAMConfig(pool_configs=[pool]),
            labels=self.labels.of("function", function=function),
        )
        network_id: str = created["Id"]
        return network_id

    async def remove_container(self, container_id: str) -> None:
        """Kill and remove; one that is gone already is no error."""
        try:
            await self.run(self.client.remove_container, container_id, force=True)
        except EngineError as error:
            cause = error.__cause__
            if not isinstance(cause, NotFound) and "already in progress" not in str(cause):
                log.warning("container_not_removed", container=container_id[:12], error=str(error))

    async def exit_of(self, container_id: str) -> Exit:
        """How a container ended; waits for the engine to have noticed."""
        try:
            await self.run(self.client.wait, container_id, timeout=10)
            state = (await self.run(self.client.inspect_container, container_id))["State"]
        except EngineError as error:
            return Exit(None, reason=f"and the engine could not tell how ({error.message})")
        return Exit(code=state["ExitCode"], oom_killed=state["OOMKilled"])

    async def sweep(self) -> None:
        """Remove what an earlier run of this installation left behind."""
        await self._code.settled()
        mine = {"label": [self.labels.mine]}
        instances = {"label": [self.labels.mine, "scf-sandbox.role=instance"]}
        fillers = {"label": [self.labels.mine, "scf-sandbox.role=filler"]}
        for filters in (instances, fillers):
            for item in await self.run(self.client.containers, all=True, filters=filters):
                await self.remove_container(item["Id"])
        await self.networks.sweep(mine)
        await self._code.sweep(mine)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sweep()
        await self.networks.close()
        self.client.close()
        self._threads.shutdown(wait=False)


def _mount(volume: str, target: str) -> Any:
    return docker.types.Mount(
        target=target, source=volume, type="volume", read_only=True, no_copy=True
    )
