"""The applications of the control port as a whole, on an engine in memory."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.app import Application
from tests.support.control_plane import NoPort, echo_engine, plane_of
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.fuzz.targets import Take

PATHS = (
    *("/", "/functions", "/functions/hello", "/functions/hello/invocations"),
    *("/functions/hello/code", "/functions/hello/logs", "/invocations/x", "/dead-letters"),
    *("/functions/hello/versions", "/functions/hello/aliases", "/functions/hello/concurrency"),
    *("/functions/hello/async", "/layers", "/layers/one/versions", "/namespaces", "/instances"),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
KINDS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
)
ACTIONS = (
    *("Invoke", "GetFunction", "ListFunctions", "CreateFunction", "UpdateFunctionConfiguration"),
    *("PublishVersion", "CreateAlias", "ListAliases", "CreateNamespace", "PublishLayerVersion"),
    *("PutReservedConcurrencyConfig", "GetFunctionLogs", "ListAsyncEvents", "InvokeFunction"),
    *("PutProvisionedConcurrencyConfig", "UpdateAlias", "ListLayers", "CopyFunction"),
)
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
#: An answer of the cloud API is 200 also where it is an error; these are the sandbox's fault.
FAULTS = (b'"InternalError"', b'"InternalError.System"')


def requests() -> Take:
    """No request makes a 5xx."""
    loop = asyncio.new_event_loop()
    # In memory, where there is such a place: a busy disk is no hang of ours.
    directory = tempfile.TemporaryDirectory(prefix="scf-fuzz-", dir=IN_MEMORY)
    plane = plane_of(Path(directory.name), echo_engine(), log_level="critical")

    async def begin() -> Any:
        await plane.__aenter__()
        await plane.open(NoPort())
        application = Application(plane).asgi
        form = (
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nhello\r\n--x\r\n'
            b'Content-Disposition: form-data; name="code"; filename="c.zip"\r\n\r\n%b\r\n--x--\r\n'
        ) % zip_of({"bootstrap": "#!/bin/sh\n"})
        kind = [(b"content-type", KINDS[2].encode())]
        assert (await ask(application, "POST", "/functions", b"", kind, form))[0] == 201
        return application

    application = loop.run_until_complete(begin())

    def take(data: bytes) -> None:
        if len(data) < 5:
            return
        path, method, kind, action = data[:4]
        query, _, body = data[4:].partition(b"\n")
        headers = [(b"content-type", KINDS[kind % len(KINDS)].encode())]
        if action & 1:
            headers.append((b"x-tc-action", ACTIONS[(action >> 1) % len(ACTIONS)].encode()))
        where = PATHS[path % len(PATHS)]
        how = METHODS[method % len(METHODS)]
        if how == "DELETE" and where == "/functions/hello":
            how = "GET"  # all others need it
        if where == "/functions/hello/logs" and b"follow" in query:
            return  # a stream does not end
        answer = ask(application, how, where, query, headers, body)
        status, said = loop.run_until_complete(answer)
        assert status < 500 or status == 501, (status, said[:500])
        assert not any(fault in said for fault in FAULTS), said[:500]

    return take


async def ask(
    application: Any,
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    told: dict[str, Any] = {"status": 0, "body": b""}
    sent = False
    over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await over.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told["status"] = message["status"]
        else:
            told["body"] += message.get("body", b"")
            if not message.get("more_body"):
                over.set()

    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"},
        **{"method": method, "path": path, "raw_path": path.encode(), "root_path": ""},
        **{"query_string": query, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 9000)},
        "headers": [(b"host", b"127.0.0.1:9000"), *headers, (b"content-length", b"%d" % len(body))],
    }
    async with asyncio.timeout(10):
        await application(scope, receive, send)
    return told["status"], told["body"]
