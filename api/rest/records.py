"""Shows the records and logs of invocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Header, Query, Response
from starlette.responses import StreamingResponse

from api.rest.follow import follow as follow_log
from api.rest.models import (
    InvocationDetail,
    InvocationList,
    InvocationLog,
    InvocationView,
    LineView,
    LogList,
)
from api.rest.parameters import Limit, Namespace, Offset, Since, parse_since
from api.rest.strict_route import rest_routes
from sandbox.errors import NotFoundError
from sandbox.records.query import RecordQuery, ResultFilter

if TYPE_CHECKING:
    from fastapi import APIRouter

    from api.rest.services import Services

RESULTS = {"ok": ResultFilter.SUCCEEDED, "failed": ResultFilter.FAILED}
LOGS = """
The logs of the function's last `limit` invocations, oldest first, as the cloud's log query shows
them: START, the function's own lines, ERROR or Response, END, Report. With
`Accept: application/json` the same as a list of invocations, each with its `log`.

`follow=true` goes on with what happens from then on, until the client closes the connection
(`curl -N`) or the sandbox stops: START when an instance works on an invocation, each line within
50 ms of its being written, the rest when the invocation has ended. Of what is under way, the lines
so far come first. Where invocations alternate, `==> RequestId:<id>` says whose the next lines are.
"""

RequestId = Annotated[str | None, Query(description="only of this invocation")]


def record_routes(services: Services) -> APIRouter:
    """Logs and records, of a function or of one invocation."""
    router = rest_routes("invocations")
    history = services.history

    @router.get(
        "/functions/{name}/logs",
        summary="Read or follow a function's logs",
        description=LOGS,
        response_model=None,
        responses={
            200: {"model": LogList, "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
    )
    async def read_logs(
        name: str,
        namespace: Namespace = "default",
        request_id: RequestId = None,
        limit: Limit = 20,
        since: Since = None,
        follow: bool = False,
        accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
    ) -> Response | LogList:
        services.functions.get(namespace, name)
        start = parse_since(since, services.clock.now())
        query = RecordQuery(namespace, name, request_id=request_id, start=start, limit=limit)
        if follow:
            return StreamingResponse(
                follow_log(services, query),
                media_type="text/plain; charset=utf-8",
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        total, records = await history.find(query)
        oldest_first = records[::-1]
        texts = await history.logs(oldest_first)
        if "application/json" not in accept:
            return Response("".join(texts), media_type="text/plain; charset=utf-8")
        return LogList(
            total=total,
            invocations=[
                InvocationLog.of(record, log=text)
                for record, text in zip(oldest_first, texts, strict=True)
            ],
        )

    @router.get("/functions/{name}/invocations", summary="List a function's invocations")
    async def list_invocations(
        name: str,
        namespace: Namespace = "default",
        qualifier: Annotated[str | None, Query(description="only of this one")] = None,
        request_id: RequestId = None,
        result: Annotated[Literal["ok", "failed"] | None, Query()] = None,
        since: Since = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> InvocationList:
        """Newest first."""
        services.functions.get(namespace, name)
        total, records = await history.find(
            RecordQuery(
                namespace,
                name,
                qualifier=qualifier,
                request_id=request_id,
                result=RESULTS[result] if result else None,
                start=parse_since(since, services.clock.now()),
                offset=offset,
                limit=limit,
            )
        )
        return InvocationList(
            total=total, invocations=[InvocationView.of(record) for record in records]
        )

    @router.get("/invocations/{request_id}", summary="Show one invocation, its stages and its log")
    async def show_invocation(request_id: str) -> InvocationDetail:
        record = await history.get(request_id)
        if record is None:
            raise NotFoundError(
                f"there is no invocation {request_id}: it has not begun, it never was, or it is"
                " older than what is kept (SCF_LOG_RETENTION_DAYS)",
                "ResourceNotFound",
            )
        [log] = await history.logs([record])
        lines = [LineView(time=at, text=text) for at, text in await history.lines(request_id)]
        return InvocationDetail.of(record, timeline=record.timeline, log=log, lines=lines)

    return router
