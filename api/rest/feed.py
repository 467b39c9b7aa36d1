"""Sends what happens in the sandbox as server-sent events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, Query
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import StreamingResponse

from api.rest.strict_route import rest_routes
from sandbox.errors import RequestError
from sandbox.feed import Filter
from sandbox.feed.facts import FACTS, NAMES, view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import APIRouter

    from api.rest.services import Services
    from sandbox.feed import Batch, Feed

#: Facts within this time are written together. Seconds.
JOIN_S = 0.05
#: The most facts of one write, and of one step that makes text of them.
WRITE_FACTS, STEP_FACTS = 500, 100
#: The longest silence of a stream, seconds.
HEARTBEAT_S = 15.0
#: A browser that lost the connection comes back after this time, milliseconds.
RETRY_MS = 1000

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
EVENTS = """
Server-sent events, one for each fact, as it happens: `event` is the name of the fact, `data` the
fact as JSON, `id` what to send as `Last-Event-ID` to go on after it. The facts and their fields
are listed in docs/en/feed.md.

An event named `gap` tells that facts cannot be had any more: `missed` of them because the client
read too slowly or came back too late (`reason` is `slow`), or an unknown number because the sandbox
was started anew (`restarted`). A comment comes at least every 15 s. The stream ends when the
sandbox stops.
"""
EXAMPLE = (
    'event: invocation_dispatched\ndata: {"type":"invocation_dispatched","time":1700000000.0,'
    '"namespace":"default","function":"hello","version":"$LATEST",'
    '"request_id":"018bcfe5-6800-7000-a000-000000000000","instance_id":"0123456789ab"}\n'
    "id: 5f3a9c1e-42\n\n"
)

Name = Annotated[str | None, Query(description="only of this function")]
Space = Annotated[str | None, Query(description="only of this namespace")]
RequestId = Annotated[str | None, Query(description="only of this invocation")]
FactName = Annotated[str, Field(json_schema_extra={"enum": list(FACTS)})]
Types = Annotated[
    list[FactName] | None,
    Query(alias="type", description="only these facts; may be given more than once"),
]


def feed_routes(services: Services) -> APIRouter:
    """``/events``."""
    router = rest_routes("system")

    @router.get(
        "/events",
        summary="Listen to what happens",
        description=EVENTS,
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"example": EXAMPLE}}}},
    )
    async def listen_to_events(
        namespace: Space = None,
        function: Name = None,
        request_id: RequestId = None,
        types: Types = None,
        last_event_id: Annotated[
            str | None, Query(description="the same as the header, for clients that cannot set it")
        ] = None,
        header: Annotated[
            str | None,
            Header(alias="Last-Event-ID", description="the `id` of the last event that was seen"),
        ] = None,
    ) -> StreamingResponse:
        wanted = Filter(namespace, function, request_id, _kinds(types))
        stream = _stream(services.feed, wanted, header or last_event_id)
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)

    return router


def _kinds(names: list[str] | None) -> frozenset[Any] | None:
    if not names:
        return None
    unknown = [name for name in names if name not in FACTS]
    if unknown:
        raise RequestError(
            f"type: there is no fact {unknown[0][:80]!r}; send one of {', '.join(FACTS)}"
        )
    return frozenset(FACTS[name] for name in names)


async def _stream(feed: Feed, wanted: Filter, last_id: str | None) -> AsyncIterator[bytes]:
    """The events after ``last_id``, or from now on. Ends when the feed is closed.

    An id of an earlier run gets the gap ``restarted``, and then every fact that is kept.
    """
    place = _place(feed, last_id)
    restarted = bool(last_id) and place is None
    listener = feed.listen(wanted, place)
    if restarted:
        listener.rewind()
    head = f"retry: {RETRY_MS}\nid: {feed.run}-{listener.place}\n\n".encode()
    yield head + (_gap("restarted", None) if restarted else b"")
    while not listener.closed:
        batch = await listener.get(HEARTBEAT_S, STEP_FACTS)
        text, count = _text(feed, batch), len(batch.facts)
        while batch.facts and count < WRITE_FACTS:
            await asyncio.sleep(0)
            batch = listener.read(STEP_FACTS)
            text, count = text + _text(feed, batch), count + len(batch.facts)
        yield text or f": nothing\nid: {feed.run}-{listener.place}\n\n".encode()
        await asyncio.sleep(JOIN_S)


def _place(feed: Feed, last_id: str | None) -> int | None:
    """The number of the fact that ``last_id`` names. None if this run has no such fact."""
    run, _, number = (last_id or "").strip().partition("-")
    if run == feed.run and number.isdecimal() and int(number[:20]) <= feed.last:
        return int(number[:20])
    return None


def _text(feed: Feed, batch: Batch) -> bytes:
    events = [_gap("slow", batch.missed)] if batch.missed else []
    for number, fact in batch.facts:
        name, place = NAMES[type(fact)].encode(), f"{feed.run}-{number}".encode()
        events.append(b"event: %b\ndata: %b\nid: %b\n\n" % (name, _json(view(fact)), place))
    return b"".join(events)


def _gap(reason: str, missed: int | None) -> bytes:
    return b"event: gap\ndata: %b\n\n" % _json({"reason": reason, "missed": missed})


def _json(value: dict[str, Any]) -> bytes:
    try:
        return to_json(value)
    except ValueError:  # text that is not valid Unicode
        return json.dumps(value).encode()
