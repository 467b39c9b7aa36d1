"""Records as rows: plain immutable tuples, in the order of their table's columns.

Making the row is making the snapshot: what happens to the record afterwards does not reach it.
"""

from __future__ import annotations

import dataclasses
import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from sandbox.record import InvocationRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.record import LogChunk

Row = tuple[Any, ...]

_fields_of = attrgetter(
    *(field.name for field in dataclasses.fields(InvocationRecord) if field.name != "timeline")
)


def record_row(record: InvocationRecord) -> Row:
    """The row of ``invocations`` for a record. Costs about a microsecond."""
    row: Row = _fields_of(record)
    return (*row, _json_text(record.timeline))


def record_of(row: Sequence[Any]) -> InvocationRecord:
    """The record that a row of ``invocations`` holds."""
    values = list(row)
    values[-1] = from_json(values[-1])
    return InvocationRecord(*values)


def chunk_row(chunk: LogChunk) -> Row:
    """The row of ``log_chunks`` for a chunk; one without lines counts as of time 0."""
    request_id, instance_id, seq, lines = chunk
    first = lines[0][0] if lines else 0.0
    return (request_id, instance_id, seq, first, _json_text(lines))


def lines_of(text: str) -> list[tuple[float, str]]:
    """The (time, text) lines in the ``lines`` column of a chunk."""
    return [(time, line) for time, line in from_json(text)]


def printable(row: Row) -> Row:
    """The row with every text made valid Unicode: half of a surrogate pair becomes ``?``."""
    return tuple(_valid(value) if isinstance(value, str) else value for value in row)


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _json_text(value: object) -> str:
    try:
        return to_json(value).decode()
    except ValueError:  # a text in it is not valid Unicode: rare, so not looked for beforehand
        return _valid(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
