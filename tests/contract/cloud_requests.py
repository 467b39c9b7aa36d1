"""Raw requests for the tests of parser and verifier: captured ones, and ways to damage them."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cloud.wire.request import RawRequest, Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.cloud.wire.request import CloudRequest

SPEC = Path(os.environ.get("SCF_SPEC_DIR", Path(__file__).parents[2] / "../shared/spec"))


@cache
def golden() -> list[dict[str, Any]]:
    """Requests captured from unmodified clients: those of the specification where it is at hand,
    else our copy of them."""
    specified = SPEC / "scf-golden-requests.json"
    if specified.exists():
        requests: list[dict[str, Any]] = json.loads(specified.read_text())["requests"]
    else:
        requests = json.loads((Path(__file__).parent / "golden_requests.json").read_text())
    return requests


def golden_ids() -> list[str]:
    return [
        f"{number}-{item['client'].split(';')[0]}-{item['method']}-{item['expect']['scheme']}"
        for number, item in enumerate(golden())
    ]


def raw_of(item: dict[str, Any]) -> RawRequest:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in item["headers"]]
    query = item["target"].partition("?")[2].encode("latin-1")
    return RawRequest.build(item["method"], query, headers, base64.b64decode(item["body_b64"]))


def damaged(raw: RawRequest, request: CloudRequest, signed_host: str) -> Iterator[RawRequest]:
    """The request with one signed byte changed, for every signed byte."""
    at = raw.headers.get("host", "").index(signed_host)
    for place in range(len(signed_host)):
        yield _with_header(raw, "host", _changed(raw.headers["host"], at + place))
    if raw.method == "GET":
        for place in range(len(raw.query)):
            yield replace(raw, query=_changed(raw.query, place))
    if request.scheme is Scheme.TC3:
        kind = raw.headers["content-type"]
        for place in range(len(kind)):
            yield _with_header(raw, "content-type", _changed(kind, place))
        yield _with_header(raw, "x-tc-timestamp", str(int(request.timestamp) + 1))
        authorization = raw.headers["authorization"]
        for place in range(authorization.index("Credential="), len(authorization)):
            yield _with_header(raw, "authorization", _changed(authorization, place))
        if "x-tc-content-sha256" in raw.headers:
            return
    if raw.method != "GET":
        for place in range(len(raw.body)):
            yield replace(raw, body=_changed(raw.body.decode("latin-1"), place).encode("latin-1"))
        yield replace(raw, body=raw.body + b"x")


def _changed(text: str, place: int) -> str:
    other = "x" if text[place] not in "xX" else "y"
    return text[:place] + other + text[place + 1 :]


def _with_header(raw: RawRequest, name: str, value: str) -> RawRequest:
    return replace(raw, headers={**raw.headers, name: value})
