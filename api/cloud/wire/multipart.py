"""``multipart/form-data`` bodies, as the SDKs build them for TC3 requests."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from sandbox.errors import RequestError


class _Parts:
    """Collects the headers and the bytes of each part that the parser finds."""

    def __init__(self) -> None:
        self.found: list[tuple[Message, bytearray]] = []
        self.ended = False
        self._name = bytearray()
        self._value = bytearray()

    def begin(self) -> None:
        self.found.append((Message(), bytearray()))

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self.found[-1][0][self._name.decode("latin-1")] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def data(self, data: bytes, start: int, end: int) -> None:
        self.found[-1][1].extend(data[start:end])

    def end(self) -> None:
        self.ended = True


def parse_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    """Parameters of a multipart body.

    Binary parts (a file name, or typed octet-stream) stay ``bytes``; parts typed JSON are decoded;
    all others are text. Raises ``InvalidRequest`` for a body that is not well formed.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise _malformed("its Content-Type names no boundary")
    parts = _Parts()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_part_data": parts.data,
            "on_header_field": parts.header_field,
            "on_header_value": parts.header_value,
            "on_header_end": parts.header_end,
            "on_end": parts.end,
        },
    )
    try:
        parser.write(body)
        if body and not parts.ended:
            raise _malformed("it ends before its closing boundary")
        return dict(_parameter(headers, bytes(data)) for headers, data in parts.found)
    except (FormParserError, ValueError, RecursionError) as error:
        raise _malformed(str(error)) from error


def _parameter(headers: Message, data: bytes) -> tuple[str, Any]:
    options = parse_options_header(headers.get("content-disposition", ""))[1]
    name = options.get(b"name", b"").decode()
    if not name:
        raise _malformed("a part has no name")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if b"filename" in options or kind == "application/octet-stream":
        return name, data
    return name, json.loads(data) if kind == "application/json" else data.decode()


def _malformed(reason: str) -> RequestError:
    return RequestError(f"the multipart body cannot be read: {reason}", "InvalidRequest")
