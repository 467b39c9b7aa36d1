"""Functions: create, change, look at, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body, File, Form, Query, Response, UploadFile

from api.rest.forms import (
    ConfigFields,
    EnvironmentField,
    LayersField,
    parse_environment,
    parse_layers,
    read_zip,
)
from api.rest.locations import LOCATION, function_at
from api.rest.models import FunctionList, FunctionView
from api.rest.parameters import (  # noqa: TC001 - FastAPI evaluates them
    Limit,
    Namespace,
    Offset,
    Qualifier,
    Whole,
)
from api.rest.strict_route import rest_routes
from sandbox.errors import ConflictError, PlatformError
from sandbox.functions.listing import Query as ListQuery
from sandbox.functions.model import (
    CUSTOM_RUNTIME,
    TRANSITIONAL,
    Function,
    FunctionConfig,
    FunctionStatus,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api.rest.services import Functions, Services

#: How long a request waits for a create or an update, seconds. Both take far less.
SETTLE_S = 120.0

Name = Annotated[str, Form(description="2-60 letters, digits, `-`, `_`; starts with a letter")]
CodeFile = Annotated[
    UploadFile, File(description="a zip with `bootstrap` at its root, 50 MB at most")
]
Wait = Annotated[bool, Query(description="answer when it serves, or at once (202)")]
WaitField = Annotated[bool, Form(description="answer when it serves (201), or at once (202)")]


def function_routes(services: Services) -> APIRouter:
    """The routes under ``/functions`` that change or show functions."""
    router = rest_routes("functions")
    functions = services.functions

    @router.post("/functions", status_code=201, summary="Create a function from a zip")
    async def create_function(
        response: Response,
        name: Name,
        code: CodeFile,
        namespace: Annotated[str, Form()] = "default",
        runtime: Annotated[str, Form()] = CUSTOM_RUNTIME,
        handler: Annotated[str | None, Form(description="`index.main_handler`")] = None,
        memory: Annotated[Whole | None, Form(description="MB: 64, or a multiple of 128")] = None,
        timeout_s: Annotated[
            Whole | None, Form(alias="timeout", description="seconds, 1-900")
        ] = None,
        init_timeout: Annotated[Whole | None, Form(description="seconds, 3-300")] = None,
        description: Annotated[str | None, Form()] = None,
        environment: EnvironmentField = None,
        layers: LayersField = None,
        async_run: Annotated[bool, Form(description="asynchronous execution: to 24 h")] = False,
        traced: Annotated[bool, Form(description="keep the states of events")] = False,
        wait: WaitField = True,
    ) -> FunctionView:
        """`curl -F name=hello -F code=@hello.zip http://127.0.0.1:9000/functions`"""
        fields = ConfigFields(
            handler=handler,
            description=description,
            memory=memory,
            timeout=timeout_s,
            init_timeout=init_timeout,
            environment=parse_environment(environment),
            layers=parse_layers(layers),
            traced=traced,
        )
        config = fields.change().apply(FunctionConfig(runtime=runtime, async_run=async_run))
        function = await functions.create(namespace, name, await read_zip(code), config)
        response.status_code = 201
        return await _view(functions, function, wait, response)

    @router.get("/functions", summary="List the functions of a namespace")
    async def list_functions(
        namespace: Namespace = "default",
        search: Annotated[str, Query(description="part of the name")] = "",
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> FunctionList:
        """By name."""
        page = functions.list(
            namespace,
            ListQuery(search, order_by="FunctionName", order="ASC", offset=offset, limit=limit),
        )
        views = [FunctionView.of(function, function.latest) for function in page.functions]
        return FunctionList(total=page.total, functions=views)

    @router.get("/functions/{name}", summary="Show a function, or one of its versions")
    async def show_function(
        name: str, namespace: Namespace = "default", qualifier: Qualifier = "$LATEST"
    ) -> FunctionView:
        return FunctionView.of(*functions.resolve(namespace, name, qualifier))

    @router.put("/functions/{name}/code", summary="Replace a function's code")
    async def update_function_code(
        response: Response,
        name: str,
        code: CodeFile,
        namespace: Namespace = "default",
        wait: Wait = True,
    ) -> FunctionView:
        """The old code serves until the new code is ready."""
        function = await functions.update_code(namespace, name, await read_zip(code))
        return await _view(functions, function, wait, response)

    @router.patch("/functions/{name}", summary="Change a function's configuration")
    async def update_function(
        response: Response,
        name: str,
        fields: Annotated[ConfigFields, Body()],
        namespace: Namespace = "default",
        wait: Wait = True,
    ) -> FunctionView:
        function = await functions.update_config(namespace, name, fields.change())
        return await _view(functions, function, wait, response)

    @router.delete("/functions/{name}", status_code=204, summary="Delete a function")
    async def delete_function(name: str, namespace: Namespace = "default") -> None:
        """Deletes all versions. Running events finish first."""
        await functions.delete(namespace, name)

    @router.post("/functions/{name}/cold", summary="Make the next start a cold one")
    async def make_function_cold(name: str, namespace: Namespace = "default") -> FunctionView:
        """Ends the function's instances. Busy ones finish first."""
        function = await functions.force_cold(namespace, name)
        return FunctionView.of(function, function.latest)

    return router


async def _view(
    functions: Functions, function: Function, wait: bool, response: Response
) -> FunctionView:
    """The function now. With ``wait``, the function when it serves."""
    if wait:
        function = await functions.settled(*function.key, SETTLE_S)
    if function.latest.status in TRANSITIONAL:
        response.status_code = 202
    else:
        _require_active(function)
    if response.status_code in (201, 202):
        response.headers[LOCATION] = function_at(*function.key)
    return FunctionView.of(function, function.latest)


def _require_active(function: Function) -> None:
    latest = function.latest
    if latest.status is FunctionStatus.ACTIVE:
        return
    reason = latest.status_reasons[-1] if latest.status_reasons else None
    why = reason.message if reason else "no reason was given"
    code = reason.code if reason else ConflictError.default_code
    # A failure of the sandbox or its engine is not the caller's fault. Every other one is.
    family = PlatformError if code.startswith("InternalError") else ConflictError
    raise family(
        f"function {function.name} is {latest.status}: {why}; GET /functions/{function.name} shows"
        " its state",
        code,
    )
