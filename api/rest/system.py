"""The routes for instances, health and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Response

from api.rest.models import HealthView, InstanceList, InstanceView
from api.rest.strict_route import rest_routes
from sandbox import __version__

#: The media type of the Prometheus library's text.
TEXT_FORMAT = "text/plain; version=1.0.0; charset=utf-8"

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api.rest.services import Health, Services


def system_routes(services: Services) -> APIRouter:
    """``/instances``, ``/healthz`` and ``/metrics``."""
    router = rest_routes("system")

    @router.get("/instances", summary="List the instances")
    async def list_instances(
        namespace: Annotated[str | None, Query(description="only of this namespace")] = None,
        function: Annotated[str | None, Query(description="only of this function")] = None,
    ) -> InstanceList:
        return InstanceList(
            instances=[
                InstanceView.model_validate(instance, from_attributes=True)
                for instance in services.pool_view.instances()
                if namespace in (None, instance.namespace) and function in (None, instance.function)
            ]
        )

    @router.get(
        "/healthz",
        summary="Is the sandbox ready",
        responses={503: {"description": "starting or stopping", "model": HealthView}},
    )
    async def show_health(response: Response) -> HealthView:
        state = services.health()
        if state.status != "ok":
            response.status_code = 503
        return _health_view(state)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "text exposition format"}},
    )
    async def read_metrics() -> Response:
        from api.metrics.exposition import scrape  # the library takes 1 MB, and a scrape needs it

        return Response(await scrape(services.metrics), media_type=TEXT_FORMAT)

    return router


def _health_view(state: Health) -> HealthView:
    engine = state.engine
    return HealthView(
        status=state.status,
        version=__version__,
        engine=engine.name if engine else "",
        engine_version=engine.version if engine else "",
        base_image=(engine.base or engine.image) if engine else "",
        image=engine.image if engine else "",
        image_build=engine.coming if engine else "",
        abi_parity=engine.abi_parity if engine else False,
        tools_parity=engine.tools_parity if engine else False,
        os_parity=engine.os_parity if engine else False,
        differences=list(engine.differences) if engine else [],
        tmp=engine.tmp if engine else "",
        note=engine.note if engine else "",
    )
