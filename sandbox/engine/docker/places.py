"""Network ends made ahead. Most of a container's start is its network; here it is ready.

A place is a small container that does nothing: its init dials in and waits. It holds an address, a
name in ``/etc/hosts`` and a network namespace. An instance starts into that and leaves it to the
next one. Nobody but its tenant has the address, so the name may outlive a tenant: who calls is
known by name, address and lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.options import ContainerOptions, Endpoint
from sandbox.engine.docker.removal import remove_container
from sandbox.engine.init_link import InitLink
from sandbox.errors import EngineError, EngineErrorKind
from sandbox.tasks import TaskOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.engine.base import Exit, RuntimeAccess
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.image import InstanceImage
    from sandbox.engine.docker.labels import Labels
    from sandbox.engine.docker.networks import InstanceNetwork
    from sandbox.settings import Settings

log = structlog.get_logger()

ROLE = "place"
COMMAND = ("/.scf/init", "--place")
#: The default: one for each of the smallest usual instances that memory allows, and no more than
#: this. Each takes 4 to 5 MB, most of it the engine's own.
MOST_PLACES = 32
#: Places are made one by one, when no instance has been started or heard for a while, and in spite
#: of those that are heard when it takes too long. Seconds.
QUIET_S = 1.0
ANYWAY_S = 10.0
PAUSE_S = 0.25
#: After one that could not be made, seconds.
RETRY_S = 30.0
DIAL_S = 30.0
#: Init is one process. What the engine starts it with has some threads for a moment: where 4 were
#: allowed, a place now and then did not start ("fork rejected", says the kernel).
PIDS = 32
#: A server that is killed with open connections leaves its port in TIME_WAIT: the next tenant could
#: not bind it for a minute. The namespace keeps none.
SYSCTLS = {"net.ipv4.tcp_max_tw_buckets": "0"}


class Place(InitLink):
    """One network end, with at most one tenant. It is its own sink: a place has nothing to say."""

    def __init__(
        self, address: str, heard: Callable[[], None], lost: Callable[[Place], None]
    ) -> None:
        """``lost`` is called when its init is gone, and the network with it."""
        super().__init__(self, heard)
        self.container_id = ""
        self.host = f"{secrets.token_hex(16)}.scf"
        self.address = address
        self.lost = False
        self.tenant: InitLink | None = None
        self._on_loss = lost

    def output(self, data: bytes) -> None:
        """It writes nothing."""

    def discarded(self, size: int) -> None:
        """It writes nothing."""

    def memory(self, peak: int, oom_kills: int) -> None:
        """It uses next to none."""

    def ended(self, exit: Exit) -> None:
        """Its init is gone: whoever lives here is cut off, and ends."""
        self.lost = True
        if self.tenant is not None:
            self.tenant.hang_up()
        self._on_loss(self)


class Places:
    """The places of one engine: makes them slowly, lets them, and notices when one is lost.

    A place that is let is never removed. One is let again only when the engine has said that the
    last tenant's container is gone.
    """

    def __init__(
        self,
        client: DockerClient,
        labels: Labels,
        network: InstanceNetwork,
        image: InstanceImage,
        settings: Settings,
    ) -> None:
        self._client = client
        self._labels = labels
        self._network = network
        self._image = image
        self._settings = settings
        self._all: set[Place] = set()
        self._free: deque[Place] = deque()
        self._starting = 0
        self._heard_at = 0.0
        self._wanted = asyncio.Event()
        self._growth = TaskOwner()
        #: What is being made or removed: it comes to its end, or a container would be left.
        self._work = TaskOwner()

    def open(self, runtime: RuntimeAccess, most: int) -> None:
        """Begin to make ``most`` places."""
        if most := min(most, self._network.size // 2):
            self.heard()
            self._wanted.set()
            self._growth.start(self._grow(runtime, most))

    @property
    def free(self) -> int:
        """How many could be let now."""
        return len(self._free)

    @property
    def container_ids(self) -> set[str]:
        """Those of all places, also of those that are being made."""
        return {place.container_id for place in self._all}

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """An instance is being started, or waits for that: no place is made meanwhile."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1
            self.heard()

    def heard(self) -> None:
        """An instance works."""
        self._heard_at = asyncio.get_running_loop().time()

    def let(self) -> Place | None:
        """The place that has been free for the longest time; None where none is."""
        return self._free.popleft() if self._free else None

    def give_back(self, place: Place, *, gone: bool) -> None:
        """Its tenant has left it: ``gone`` says that the engine confirms it.

        Otherwise the place stays let: somebody may still be in.
        """
        if not gone:
            return
        place.tenant = None
        if place.lost:
            self._work.start(self._remove(place))
        else:
            self._free.append(place)

    async def close(self) -> None:
        """Make no more, and remove all. The instances are gone."""
        await self._growth.cancel()
        await self._work.drain()
        places, self._all = self._all, set()
        self._free.clear()
        for place in places:
            place.quit()
        await asyncio.gather(*(self._end(place) for place in places))

    async def _grow(self, runtime: RuntimeAccess, most: int) -> None:
        while True:
            await self._wanted.wait()
            await self._calm()
            try:
                await self._work.finish(self._make(runtime))
            except EngineError as error:
                log.warning("place_not_made", error=error.message)
                await self._after(error)
            if len(self._all) >= most:
                self._wanted.clear()
            await asyncio.sleep(PAUSE_S)

    async def _after(self, error: EngineError) -> None:
        if error.kind is EngineErrorKind.NO_NETWORK:
            try:
                await self._work.finish(self._network.restore())
            except EngineError as failure:
                log.warning("network_not_restored", error=failure.message)
            else:
                return
        await asyncio.sleep(RETRY_S)

    async def _calm(self) -> None:
        """Wait until nobody would mind."""
        loop = asyncio.get_running_loop()
        anyway = loop.time() + ANYWAY_S
        while True:
            calm_in = min(self._heard_at + QUIET_S, anyway) - loop.time()
            if calm_in <= 0 and not self._starting:
                return
            await asyncio.sleep(max(calm_in, PAUSE_S))

    async def _make(self, runtime: RuntimeAccess) -> None:
        place = Place(self._network.take(), runtime.links.heard, self._lost)
        self._all.add(place)
        try:
            secret = runtime.links.expect(place.host, place)
            place.container_id = await self._image.create(self._options(place, secret))
            await self._client.start_container(place.container_id)
            async with asyncio.timeout(DIAL_S):
                await place.stands_by
            place.address = place.address or await self._network.address_of(place.container_id)
        except BaseException as error:
            await self._remove(place)
            if isinstance(error, TimeoutError):
                raise EngineError(f"a place did not dial in within {DIAL_S:g} s") from error
            raise
        finally:
            runtime.links.forget(place.host)
        self._free.append(place)

    def _lost(self, place: Place) -> None:
        """One that is let is removed when its tenant has left."""
        if place not in self._all:
            return  # it is being removed
        log.warning("place_lost", container=place.container_id[:12], let=place.tenant is not None)
        if place in self._free:
            self._free.remove(place)
            self._work.start(self._remove(place))

    async def _remove(self, place: Place) -> None:
        self._all.discard(place)
        await self._end(place)
        self._wanted.set()

    async def _end(self, place: Place) -> None:
        gone = not place.container_id or await remove_container(self._client, place.container_id)
        place.hang_up()
        if gone:
            self._network.give_back(place.address)

    def _options(self, place: Place, secret: str) -> ContainerOptions:
        gateway, port = self._network.gateway, self._settings.runtime_port
        return ContainerOptions(
            image=self._image.id,
            name=f"scf-{self._labels.installation}-place-{place.host[:12]}",
            command=COMMAND,
            user="qcloud",
            working_dir="/",
            environment={
                "SCF_RUNTIME_API": place.host,
                "SCF_INIT_ADDRESS": f"{gateway}:{port}",
                "SCF_INIT_SECRET": secret,
            },
            labels=self._labels.of(ROLE),
            endpoint=Endpoint(self._network.name, place.address),
            extra_hosts={place.host: gateway},
            sysctls=SYSCTLS,
            read_only=True,
            memory_mb=16,
            pids=PIDS,
            unprivileged=True,
            log_driver="none",
        )
