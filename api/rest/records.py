"""What became of invocations: records and logs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse

from api.rest.models import (
    InvocationDetail,
    InvocationList,
    InvocationLog,
    InvocationView,
    LogList,
)
from api.rest.parameters import Namespace, Since, parse_since
from sandbox.errors import NotFoundError
from sandbox.records.query import RecordQuery, ResultFilter
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.rest.services import Services
    from sandbox.records.record import InvocationRecord

#: How often a followed log looks for what has ended since, seconds, and how much it shows of it.
FOLLOW_EVERY_S = 0.25
FOLLOW_WINDOW = 200

RESULTS = {"ok": ResultFilter.SUCCEEDED, "failed": ResultFilter.FAILED}
LOGS = """
The logs of the function's last `limit` invocations, oldest first, as the cloud's log query shows
them: START, the function's own lines, ERROR or Response, END, Report. With
`Accept: application/json` the same as a list of invocations, each with its `log`.

`follow=true` goes on with each invocation as it ends, until the client closes the connection
(`curl -N`); of more than 200 that end within a quarter of a second, only the last 200.
"""

Limit = Annotated[int, Query(ge=1, le=1000, description="invocations, the newest")]
Offset = Annotated[int, Query(ge=0, description="invocations to leave out, from the newest")]
RequestId = Annotated[str | None, Query(description="only of this invocation")]


def record_routes(services: Services) -> APIRouter:
    """Logs and records, of a function or of one invocation."""
    router = APIRouter(tags=["invocations"])
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
    async def logs(
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
        if follow:
            return StreamingResponse(
                _follow(services, namespace, name, start, limit),
                media_type="text/plain; charset=utf-8",
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        total, records = await history.find(
            RecordQuery(namespace, name, request_id=request_id, start=start, limit=limit)
        )
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
                f"there is no invocation {request_id}: it never was, or it is older than what is"
                " kept (SCF_LOG_RETENTION_DAYS)",
                "ResourceNotFound",
            )
        [log] = await history.logs([record])
        return InvocationDetail.of(record, timeline=record.timeline, log=log)

    return router


async def _follow(
    services: Services, namespace: str, name: str, start: float | None, limit: int
) -> AsyncIterator[str]:
    """Logs of the last invocations, then of each one that ends, until the sandbox stops.

    What was shown is remembered only as long as it is among the newest: what has left them does
    not come back.
    """
    shown: set[str] = set()
    window, show = max(limit, FOLLOW_WINDOW), limit
    while services.health().status != "stopping":
        _, records = await services.history.find(
            RecordQuery(namespace, name, start=start, limit=window)
        )
        for log in await services.history.logs(_newly_ended(records, shown)[-show:]):
            yield log
        shown = {
            record.request_id for record in records if record.status_code != StatusCode.RUNNING
        }
        show = window
        await asyncio.sleep(FOLLOW_EVERY_S)


def _newly_ended(records: list[InvocationRecord], shown: set[str]) -> list[InvocationRecord]:
    ended = [
        r for r in records if r.status_code != StatusCode.RUNNING and r.request_id not in shown
    ]
    return sorted(ended, key=lambda record: record.ended_at)
