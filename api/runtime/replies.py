"""The answers of the runtime API. Their bodies are short lines, because runtimes log them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from api.runtime.head import Call, Why

if TYPE_CHECKING:
    from sandbox.instance.rendezvous import Event


class Reply(NamedTuple):
    """An answer in two forms: for a connection that stays, and for one that is closed."""

    kept: bytes
    last: bytes

    @classmethod
    def of(cls, status: str, line: str) -> Reply:
        """``status`` as on the wire, ``line`` without its end."""
        body = line.encode() + b"\n"
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        ).encode()
        return cls(head + b"\r\n" + body, head + b"Connection: close\r\n\r\n" + body)


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

OK = Reply.of("200 OK", "OK")
WRONG_METHOD = Reply.of("405 Method Not Allowed", "wrong method for this path")
NOT_FOUND = Reply.of("404 Not Found", "no such path in the runtime API")

ANSWERS = {
    Call.READY: OK,
    Call.RESPONSE: OK,
    Call.ERROR: OK,
    Call.WRONG_METHOD: WRONG_METHOD,
    Call.TUNNEL: WRONG_METHOD,
    Call.UNKNOWN: NOT_FOUND,
}

FORBIDDEN = Why("403 Forbidden", "this address belongs to no instance of yours")
NOT_HTTP = Why("400 Bad Request", "not an HTTP request")
LONG_HEAD = Why("431 Request Header Fields Too Large", "the head of a request is above 64 KB")
LATE_HEAD = Why("408 Request Timeout", "the head of a request did not come within 10 seconds")
LATE_BODY = Why("408 Request Timeout", "the body of a request stopped for 30 seconds")
CROWDED = Why("503 Service Unavailable", "an instance may have 64 connections: close some")
HOARDING = Why("503 Service Unavailable", "an instance may send 24 MB of results at once")
IMPATIENT = Why("400 Bad Request", "more than 64 KB were sent behind a poll that waits")


def event_head(event: Event, *, last: bool) -> bytes:
    """The head of the answer to a poll. Names are written as on the platform."""
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Request_Id: {event.request_id}\r\n"
        f"Memory_Limit_In_Mb: {event.memory_limit_mb}\r\n"
        f"Time_Limit_In_Ms: {event.time_limit_ms}\r\n"
        f"Content-Length: {len(event.body)}\r\n"
        f"{'Connection: close' + chr(13) + chr(10) if last else ''}\r\n"
    ).encode()
