"""Instances as containers of a Docker engine."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.engine.base import EngineInfo, InstanceSpec, Sink
from sandbox.engine.docker.claim import Claim
from sandbox.engine.docker.client import DockerClient
from sandbox.engine.docker.container import DockerContainer
from sandbox.engine.docker.disks import INIT
from sandbox.engine.docker.gauge_box import MountedBox
from sandbox.engine.docker.image import InstanceImage
from sandbox.engine.docker.labels import Labels
from sandbox.engine.docker.networks import InstanceNetwork
from sandbox.engine.docker.options import ContainerOptions, Endpoint, VolumeMount
from sandbox.engine.docker.orphans import Orphans
from sandbox.engine.docker.places import MOST_PLACES, Places
from sandbox.engine.docker.removal import remove_container
from sandbox.engine.docker.tmp import Tmp
from sandbox.engine.docker.volumes import CodeVolumes
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from sandbox.engine.base import RuntimeAccess
    from sandbox.engine.docker.places import Place
    from sandbox.packages.package import Package, PackageStore
    from sandbox.settings import Settings


#: What an image lacks that is not made for instances.
LACKING = {EngineErrorKind.NO_INIT: INIT, EngineErrorKind.NO_USER: "user qcloud"}
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
        self.image = InstanceImage(self.client, settings.instance_image)
        self.info = EngineInfo("docker", "", settings.instance_image, "", abi_parity=False)
        self.labels = Labels(settings.installation)
        self._settings = settings
        self._claim = Claim(self.client, self.labels)
        self._network = InstanceNetwork(self.client, self.labels, settings)
        self.tmp = Tmp(self.client, self.labels, self.image, settings)
        self.places = Places(self.client, self.labels, self._network, self.image, settings)
        self._gauges = MountedBox(self.client, self.labels, self.image, settings)
        self._code = CodeVolumes(self.client, self.labels, self.image, packages)
        self._starting = asyncio.Semaphore(settings.start_parallelism)
        #: Those that are being made, run, or are not known to be gone.
        self._containers: set[DockerContainer] = set()
        self._orphans = Orphans(self.client, self.labels, self._owned)
        #: Whether what the installation has in the engine is ours to remove.
        self._owns = False

    async def open(self, runtime: RuntimeAccess) -> None:
        self._runtime = runtime
        facts = await self.client.facts()
        self._node, self._memory_mb = facts.node, facts.memory_mb
        about = EngineInfo(
            name="docker",
            version=facts.version,
            image=self.image.name,
            base="unknown",
            abi_parity=False,
            details={"cgroup": facts.cgroup, "storage": facts.storage},
        )
        await self.image.open(about, self._describe)
        await self._claim.take(self.image.id)
        self._owns = True
        await self._sweep()
        tmp = asyncio.ensure_future(self.tmp.open())
        try:
            await self._network.open(runtime.listen)
        finally:
            await tmp
        self._describe(self.info)
        await self._gauges.open()
        runtime.links.box = self._gauges.box
        self.places.open(runtime, self._most_places())
        self._orphans.open()

    def _describe(self, info: EngineInfo) -> None:
        self.info = replace(info, tmp=self.tmp.note, beside_mb=self.tmp.beside_mb)

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
        with self.places.starting():
            async with self._starting:
                with self._code.held(spec.code_digest, *spec.layers):
                    return await self._launch(spec, sink)

    async def _launch(self, spec: InstanceSpec, sink: Sink) -> DockerContainer:
        mounts = await self._code.mounts(spec.code_digest, spec.layers)
        if place := self.places.let():
            try:
                return await self._launch_at(spec, sink, mounts, place)
            except EngineError:
                if not place.lost:
                    raise
        try:
            return await self._launch_at(spec, sink, mounts, None)
        except EngineError as error:
            if error.kind is not EngineErrorKind.NO_NETWORK:
                raise
        await self._network.restore()
        return await self._launch_at(spec, sink, mounts, None)

    async def _launch_at(
        self, spec: InstanceSpec, sink: Sink, mounts: list[VolumeMount], place: Place | None
    ) -> DockerContainer:
        """In a place, or with a network end of its own."""
        peer = place.address if place else self._network.take()
        container = DockerContainer(
            self.client,
            place.host if place else f"{spec.instance_id}.scf",
            peer,
            self._node,
            sink=sink,
            heard=self._heard,
            left=lambda gone: self._left(container, place, gone),
        )
        self._containers.add(container)
        if place:
            place.tenant = container
        try:
            container.disk = await self.tmp.take()
            await self._start(spec, container, self._options(spec, mounts, container, place))
            self.tmp.started(container.disk)
        except BaseException:
            if not await container.destroy():
                self._orphans.adopt(container)
            raise
        return container

    def _left(self, container: DockerContainer, place: Place | None, gone: bool) -> None:
        if gone:
            self._containers.discard(container)
            self.tmp.give_back(container.disk)
        if place:
            self.places.give_back(place, gone=gone)
        elif gone:
            self._network.give_back(container.peer)

    def _heard(self) -> None:
        self.places.heard()
        self._runtime.links.heard()

    async def _start(
        self, spec: InstanceSpec, container: DockerContainer, options: ContainerOptions
    ) -> None:
        """Until its init has dialled in."""
        host = container.runtime_host
        try:
            container.container_id = await self.image.create(options)
            await self._code.mounted(spec.code_digest, spec.layers)
            await self.client.start_container(container.container_id)
            async with asyncio.timeout(DIAL_S):
                await container.stands_by
            if not container.peer:
                container.peer = await self._network.address_of(container.container_id)
        except EngineError as error:
            if error.kind in LACKING:
                raise EngineError(
                    f"the image {self.image.name} has no {LACKING[error.kind]}, which every"
                    " instance starts with: build it again (scripts/images and docker compose build"
                    " do), or bring it into an image of your own, as Dockerfile.centos7 does",
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
        container: DockerContainer,
        place: Place | None,
    ) -> ContainerOptions:
        """As closed as the platform's own containers are (contract 2.2)."""
        host, port = container.runtime_host, str(self._settings.runtime_port)
        disk = container.disk
        name = f"scf-{self.labels.installation}-{spec.function_name}-{spec.instance_id[:12]}"
        return ContainerOptions(
            image=self.image.id,
            name=name,
            command=self.tmp.command(spec.memory_mb),
            user="qcloud",
            working_dir="/var/user",
            environment={
                **spec.environment,
                "SCF_RUNTIME_API": host,
                "SCF_RUNTIME_API_PORT": port,
                "NO_PROXY": host,
                "no_proxy": host,
                # Of init alone: it wipes them.
                "SCF_INIT_ADDRESS": f"{self._network.gateway}:{port}",
                "SCF_INIT_SECRET": self._runtime.links.expect(host, container),
                **self._gauges.environment,
            },
            labels=self.labels.of("instance", function=f"{spec.namespace}/{spec.function_name}"),
            mounts=[*mounts, *self._gauges.mounts, *((disk.mount,) if disk else ())],
            # In a place, all of the network is the place's.
            network_mode=f"container:{place.container_id}" if place else "",
            endpoint=None if place else Endpoint(self._network.name, container.peer),
            extra_hosts={} if place else {host: self._network.gateway},
            read_only=True,
            tmpfs=self.tmp.tmpfs(),
            shm_bytes=limits.SHM_BYTES,
            memory_mb=spec.memory_mb + self.tmp.beside_mb,
            cpu_shares=max(2, 1024 * spec.memory_mb // limits.MEMORY_PER_CORE_MB),
            pids=limits.MAX_PIDS,
            limits={"nofile": limits.MAX_FDS, "core": 0},
            unprivileged=True,
            log_files=2,
        )

    def _owned(self) -> set[str]:
        found = {container.container_id for container in self._containers}
        return found | self.places.container_ids

    def _most_places(self) -> int:
        if self._settings.places is not None:
            return self._settings.places
        budget_mb = self._settings.memory_budget_mb or self._memory_mb
        return min(MOST_PLACES, budget_mb // limits.MEMORY_DEFAULT_MB)

    async def _sweep(self) -> None:
        """Remove what an earlier run of this installation left behind."""
        await self._code.settled()
        disks = asyncio.ensure_future(self.tmp.disks.close())
        try:
            await self._remove_all("instance")
            await self.places.close()
            for role in ("place", "filler", "lender"):
                await self._remove_all(role)
        finally:
            await disks
        await self.tmp.disks.sweep()
        await self._network.sweep()
        await self._code.sweep()

    async def _remove_all(self, role: str) -> None:
        found = await self.client.container_ids(*self.labels.find(role))
        await asyncio.gather(*(remove_container(self.client, found_id) for found_id in found))

    async def close(self) -> None:
        async with AsyncExitStack() as parts:  # each of them, whatever becomes of the others
            parts.callback(self.client.close)
            parts.callback(self._close_box)
            parts.push_async_callback(self._network.close)
            parts.push_async_callback(self.image.close)
            parts.push_async_callback(self._orphans.close)
            if self._owns:
                parts.push_async_callback(self._claim.give_back)
                await self._sweep()

    def _close_box(self) -> None:
        if self._gauges.box is not None:
            self._runtime.links.box = None
            self._gauges.close()
