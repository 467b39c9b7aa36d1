"""Records as rows: plain tuples in the order of their table's columns.

The row of a chunk is a snapshot. It does not get lines that are added to the chunk later.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from sandbox.records.record import InvocationRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.records.record import LogChunk

Row = tuple[Any, ...]


def record_row(record: Row) -> Row:
    """The row of ``invocations`` for a record, or for the row of one in a journal."""
    *row, timeline = record
    return (*row, _json_text(timeline))


def record_of(row: Sequence[Any]) -> InvocationRecord:
    """The record that a row of ``invocations`` holds."""
    values = list(row)
    values[-1] = from_json(values[-1])
    return InvocationRecord(*values)


def chunk_row(chunk: LogChunk) -> Row:
    """The row of ``log_chunks`` for a chunk. A chunk without lines has the time 0."""
    request_id, instance_id, seq, lines = chunk
    first = lines[0][0] if lines else 0.0
    return (request_id, instance_id, seq, first, _json_text(lines))


def lines_of(text: str) -> list[tuple[float, str]]:
    """The (time, text) lines in the ``lines`` column of a chunk."""
    return [(time, line) for time, line in from_json(text)]


def printable(row: Row) -> Row:
    """The row with valid Unicode: half of a surrogate pair becomes ``?``."""
    return tuple(_valid(value) if isinstance(value, str) else value for value in row)


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _json_text(value: object) -> str:
    try:
        return to_json(value).decode()
    except ValueError:  # not valid Unicode; too rare to look for beforehand
        return _valid(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
