"""How many instances a function may have, and how its asynchronous events are tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body

from api.rest.catalog_views import AsyncView, ConcurrencyView, ProvisionedView
from api.rest.forms import Strict
from api.rest.parameters import Namespace, Whole  # noqa: TC001 - FastAPI evaluates them
from api.rest.strict_route import rest_routes
from sandbox.functions.model import EventInvokeConfig

if TYPE_CHECKING:
    from fastapi import APIRouter

    from sandbox.functions.catalog import Catalog


class Reservation(Strict):
    """``memory`` is in MB. 0 shuts the function off; null: it shares with the others."""

    memory: Whole | None


class Count(Strict):
    """How many instances are kept initialised."""

    count: Whole


class AsyncFields(Strict):
    """Those not given stay as they are."""

    retries: Whole | None = None
    max_age: Whole | None = None


def concurrency_routes(catalog: Catalog) -> APIRouter:
    """The routes below a function that set what it may use."""
    router = rest_routes("concurrency")
    service, functions = catalog.concurrency, catalog.functions

    def view(namespace: str, name: str) -> ConcurrencyView:
        return ConcurrencyView(
            memory=service.get(namespace, name).reserved_mb,
            provisioned=[ProvisionedView.of(each) for each in service.provisions(namespace, name)],
            unallocated=service.unallocated(namespace, name),
        )

    @router.get("/functions/{name}/concurrency", summary="Show what a function may use")
    async def show_concurrency(name: str, namespace: Namespace = "default") -> ConcurrencyView:
        return view(namespace, name)

    @router.put("/functions/{name}/concurrency", summary="Reserve memory for a function")
    async def reserve_concurrency(
        name: str, fields: Annotated[Reservation, Body()], namespace: Namespace = "default"
    ) -> ConcurrencyView:
        """`-d '{"memory": 1024}'`: at most so many MB at once. 0 shuts the function off, null ends
        the reservation."""
        await service.reserve(namespace, name, fields.memory)
        return view(namespace, name)

    @router.put(
        "/functions/{name}/versions/{version}/provisioned",
        summary="Keep instances of a version initialised",
    )
    async def provision_version(
        name: str, version: str, fields: Annotated[Count, Body()], namespace: Namespace = "default"
    ) -> ConcurrencyView:
        """With 0 none. They are initialised in the background. Timers that change the number by
        the clock are set by the cloud API; this ends them."""
        await service.provision(namespace, name, version, fields.count)
        return view(namespace, name)

    @router.get("/functions/{name}/async", summary="Show how events are tried again")
    async def show_async(name: str, namespace: Namespace = "default") -> AsyncView:
        return _async_view(functions.get(namespace, name).event_invoke)

    @router.patch("/functions/{name}/async", summary="Change how events are tried again")
    async def update_async(
        name: str, fields: Annotated[AsyncFields, Body()], namespace: Namespace = "default"
    ) -> AsyncView:
        """`retries` is 0 to 2, `max_age` in seconds."""
        before = functions.get(namespace, name).event_invoke
        config = EventInvokeConfig(
            retry_num=before.retry_num if fields.retries is None else fields.retries,
            msg_ttl_s=before.msg_ttl_s if fields.max_age is None else fields.max_age,
        )
        changed = await functions.update_event_invoke(namespace, name, config)
        return _async_view(changed.event_invoke)

    return router


def _async_view(config: EventInvokeConfig) -> AsyncView:
    return AsyncView(retries=config.retry_num, max_age=config.msg_ttl_s)
