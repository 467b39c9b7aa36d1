"""The HTTP side of a control plane: its routes, the runtime API, and what only HTTP needs."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from fastapi import FastAPI

from api.allowed_hosts import AllowedHosts
from api.cloud.endpoint import CloudApi
from api.cloud.unknown_fields import UnknownFields
from api.cloud.wire.fast_invoke import fast_invoke_protocol
from api.cloud.wire.policy import Policy
from api.cloud.wire.routes import cloud_route
from api.downloads import Downloads
from api.guard import Guard
from api.metrics.metrics import Gauges, Metrics
from api.process.busypoll import BusyPoll, several_processors
from api.rest import Health, Services, install_rest
from api.runtime.server import RuntimeServer
from api.runtime.upgrade import init_upgrades
from sandbox import __version__
from sandbox.limits import MIB

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from sandbox.control_plane import ControlPlane


class Application:
    """The parts of a control plane that speak HTTP. Made within the control plane's block.

    The control plane is opened with ``runtime``. uvicorn runs ``asgi`` and ``protocol``.
    """

    def __init__(self, plane: ControlPlane) -> None:
        settings = plane.settings
        self._plane = plane
        self.hosts = AllowedHosts(settings.allowed_hosts)
        self.policy = Policy(settings, plane.clock)
        self.downloads = Downloads(plane.packages, plane.clock)
        self.metrics = Metrics(
            Gauges(
                instances=plane.pool.instances,
                memory=lambda: (plane.budget.reserved_mb * MIB, plane.budget.total_mb * MIB),
                records=lambda: (plane.writer.pending, plane.writer.written, plane.writer.dropped),
            ),
            plane.feed,
        )
        self.cloud = CloudApi(
            catalog=plane.catalog,
            packages=plane.packages,
            invoker=plane.invoker,
            history=plane.history,
            queue=plane.queue,
            traces=plane.traces,
            downloads=self.downloads,
            policy=self.policy,
            unknown_fields=UnknownFields(refuse=settings.unknown_fields == "refuse"),
            clock=plane.clock,
            region=settings.region,
        )
        self.busy_poll = BusyPoll(settings.busy_poll_us / 1e6 if several_processors() else 0)
        awake = self.busy_poll.keep_awake
        plane.init_links.heard = awake
        upgrades = init_upgrades(plane.init_links)
        self.runtime = RuntimeServer(plane.pool, settings.runtime_port, awake, upgrades)
        self.asgi = self._routes()

    @property
    def protocol(self) -> type[HttpToolsProtocol]:
        """The protocol of the control port. It has a short way for an Invoke."""
        instances = IPv4Network(self._plane.settings.network_range)
        return fast_invoke_protocol(
            self.cloud, instances, self.busy_poll.keep_awake, hosts=self.hosts
        )

    def _routes(self) -> FastAPI:
        """The cloud API at ``/``, plain REST beside it, the OpenAPI page at ``/docs``."""
        app = FastAPI(
            title="scf-sandbox",
            version=__version__,
            summary="Tencent Cloud SCF Custom Runtime functions on your own machine",
            docs_url=None,
            redoc_url=None,
        )
        app.add_middleware(
            Guard,
            credentials=self.policy.enforced_keys,
            hosts=self.hosts,
            origins=self._plane.settings.allowed_origins,
        )
        app.router.routes.append(cloud_route(self.cloud))
        app.router.routes.append(self.downloads.route())
        plane = self._plane
        install_rest(
            app,
            Services(
                functions=plane.functions,
                invoker=plane.invoker,
                history=plane.history,
                pool_view=plane.pool,
                settings=plane.settings,
                health=self._health,
                metrics=self.metrics,
                dead_letters=plane.dead_letters,
                catalog=plane.catalog,
                feed=plane.feed,
            ),
        )
        return app

    def _health(self) -> Health:
        return Health("ok" if self._plane.ready else "starting", self._plane.engine.info)
