"""Instances as containers of a Docker engine."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.engine.base import EngineInfo, InstanceSpec, Sink
from sandbox.engine.docker.client import DockerClient
from sandbox.engine.docker.container import DockerContainer
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.networks import FunctionNetworks
from sandbox.engine.docker.options import ContainerOptions, Endpoint, VolumeMount
from sandbox.engine.docker.removal import remove_container
from sandbox.engine.docker.volumes import CodeVolumes
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from sandbox.engine.base import RuntimeAccess
    from sandbox.engine.docker.networks import Place
    from sandbox.packages.package import Package, PackageStore
    from sandbox.settings import Settings


#: The first process of every instance, in the image (``Dockerfile.centos7``).
INIT = "/.scf/init"
#: How long an init may take to dial in once its container was started, seconds.
DIAL_S = 30.0


class DockerEngine:
    """An ``Engine`` (see ``engine.base``): owns everything of ours that lives in a Docker engine.

    The engine creates, starts and removes containers. What goes on in one is told by its init, on
    a connection of the event loop's: a running instance costs no thread, and nothing is attached.
    """

    _runtime: RuntimeAccess

    def __init__(self, settings: Settings, packages: PackageStore) -> None:
        """``EngineError`` when no engine answers."""
        # Besides the starts there are removals, samples and fillers.
        self.client = DockerClient(settings.start_parallelism + 4)
        self._node = ""
        self._memory_mb = 0
        self.info = EngineInfo("docker", "", settings.instance_image, "", True)
        self.labels = Labels(settings.installation)
        self._settings = settings
        self._networks = FunctionNetworks(self.client, self.labels, settings)
        self._code = CodeVolumes(self.client, self.labels, settings.instance_image, packages)
        self._starting = asyncio.Semaphore(settings.start_parallelism)

    async def open(self, runtime: RuntimeAccess) -> None:
        self._runtime = runtime
        facts = await self.client.facts()
        self._node, self._memory_mb = facts.node, facts.memory_mb
        image = self._settings.instance_image
        labels = await self.client.image_labels(image)
        self.info = EngineInfo(
            name="docker",
            version=facts.version,
            image=image,
            base=labels.get("scf-sandbox.base", "unknown"),
            os_parity=True,
            details={"cgroup": facts.cgroup, "storage": facts.storage},
        )
        await self._sweep()
        self._networks.open(runtime.listen)

    def capacity(self) -> dict[str, int]:
        return {self._node: self._memory_mb}

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
        mounts = [VolumeMount(await self._code.code(spec.code_digest), "/var/user")]
        if spec.layers:
            mounts.append(VolumeMount(await self._code.layers(spec.layers), "/opt"))
        place = await self._networks.join(spec)
        container = DockerContainer(
            self.client,
            f"{spec.instance_id}.scf",
            place.peer,
            self._node,
            sink=sink,
            heard=self._runtime.links.heard,
            left=partial(self._networks.leave, spec, place.peer),
        )
        try:
            await self._start(container, self._options(spec, mounts, place, container))
        except BaseException:
            await container.destroy()
            raise
        return container

    async def _start(self, container: DockerContainer, options: ContainerOptions) -> None:
        """Until its init has dialled in."""
        host = container.runtime_host
        try:
            container.container_id = await self.client.create_container(options)
            await self.client.start_container(container.container_id)
            async with asyncio.timeout(DIAL_S):
                await container.stands_by
        except EngineError as error:
            if error.kind is EngineErrorKind.NO_INIT:
                raise EngineError(
                    f"the image {options.image} has no {INIT}, which every instance starts with:"
                    " build it again (scripts/images and docker compose build do), or copy it into"
                    " an image of your own, as Dockerfile.centos7 does",
                    error.kind,
                ) from error
            raise
        except TimeoutError:
            said = await self.client.last_line(container.container_id)
            address = options.environment["SCF_INIT_ADDRESS"]
            raise EngineError(
                f"an instance did not reach the runtime API at {address} within {DIAL_S:g} s"
                f" ({said or 'silent'}): see that no firewall keeps containers from that port"
            ) from None
        finally:
            self._runtime.links.forget(host)

    def _options(
        self,
        spec: InstanceSpec,
        mounts: list[VolumeMount],
        place: Place,
        container: DockerContainer,
    ) -> ContainerOptions:
        """As closed as the platform's own containers are (contract 2.2)."""
        host, port = container.runtime_host, str(self._settings.runtime_port)
        name = f"scf-{self.labels.installation}-{spec.function_name}-{spec.instance_id[:12]}"
        return ContainerOptions(
            image=self._settings.instance_image,
            name=name,
            command=(INIT,),
            user="qcloud",
            working_dir="/var/user",
            environment={
                **spec.environment,
                "SCF_RUNTIME_API": host,
                "SCF_RUNTIME_API_PORT": port,
                "NO_PROXY": host,
                "no_proxy": host,
                # Of init alone: it wipes them.
                "SCF_INIT_ADDRESS": f"{place.runtime_address}:{port}",
                "SCF_INIT_SECRET": self._runtime.links.expect(host, container),
            },
            labels=self.labels.of("instance", function=f"{spec.namespace}/{spec.function_name}"),
            mounts=mounts,
            endpoint=Endpoint(place.network, place.peer),
            extra_hosts={host: place.runtime_address},
            read_only=True,
            tmpfs={"/tmp": f"size={limits.TMP_BYTES},mode=1777,exec"},
            memory_mb=spec.memory_mb,
            cpu_shares=max(2, 1024 * spec.memory_mb // limits.MEMORY_PER_CORE_MB),
            pids=limits.MAX_PIDS,
            limits={"nofile": limits.MAX_FDS, "core": 0},
            unprivileged=True,
            log_files=2,
        )

    async def _sweep(self) -> None:
        """Remove what an earlier run of this installation left behind."""
        await self._code.settled()
        for role in ("instance", "filler"):
            for container_id in await self.client.container_ids(*self.labels.find(role)):
                await remove_container(self.client, container_id)
        await self._networks.sweep()
        await self._code.sweep()

    async def close(self) -> None:
        async with AsyncExitStack() as parts:  # each of them, whatever becomes of the others
            parts.callback(self.client.close)
            parts.push_async_callback(self._networks.close)
            await self._sweep()
