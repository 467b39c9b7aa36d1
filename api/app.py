"""The control application: the one place where routes are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from api.allowed_hosts import AllowedHosts
from api.cloud.wire.routes import cloud_route
from api.guard import Guard
from api.rest import Health, Services, install_rest
from sandbox import __version__

if TYPE_CHECKING:
    from api.house import House


def create_app(house: House) -> FastAPI:
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
        credentials=house.policy.enforced_keys,
        hosts=AllowedHosts(house.settings.allowed_hosts),
    )
    app.router.routes.append(cloud_route(house.cloud))
    app.router.routes.append(house.downloads.route())

    def health() -> Health:
        return Health("ok" if house.ready else "starting", house.engine.info)

    install_rest(
        app,
        Services(
            functions=house.functions,
            invoker=house.invoker,
            history=house.history,
            pool_view=house.pool,
            settings=house.settings,
            health=health,
            metrics=house.metrics,
            dead_letters=house.dead_letters,
        ),
    )
    return app
