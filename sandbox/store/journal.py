"""Items that were put and are not in the database yet, in files that outlive the process.

The journal is a row of segments, ``<path>.<number>``. Only the last one is written to. A segment is
deleted once everything in it is in the database. Each line is one JSON array: a kind, then a row.
Nothing is synced: the death of the process loses nothing; the loss of power loses what the system
had not written yet.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from pydantic_core import from_json, to_json

from sandbox.store.tables import invocations, log_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.store.rows import Row

log = structlog.get_logger(__name__)

#: The kind says which columns the row has. New columns need a new kind, and this version must still
#: read the old kinds: an older version may have written the journal.
RECORD = "r1"
CHUNK = "l1"

_WIDTHS = {RECORD: len(invocations.columns), CHUNK: len(log_chunks.columns)}


class Item(NamedTuple):
    """A row on its way to the database. ``size`` is its length in the journal, in bytes."""

    kind: str
    row: Row
    size: int


def encode(kind: str, row: Row) -> bytes:
    """One line of the journal. ``ValueError`` if a text is not valid Unicode."""
    return to_json((kind, *row)) + b"\n"


def decode(line: bytes) -> Item | None:
    """The item in a line, or None if the line is torn or its kind is unknown."""
    try:
        value: Any = from_json(line)
    except ValueError:
        return None
    match value:
        case [str() as kind, *row] if _WIDTHS.get(kind) == len(row):
            return Item(kind, tuple(row), len(line))
    return None


def read_segment(path: Path) -> Iterator[Item]:
    """The items of a segment in the order of writing, without torn lines. May raise ``OSError``."""
    torn = 0
    with path.open("rb") as lines:
        for line in lines:
            line = line.lstrip(b"\0")  # earlier versions filled segments up with it
            item = decode(line)
            if item:
                yield item
            elif line.strip():
                torn += 1
    if torn:
        log.warning("journal_lines_skipped", path=str(path), lines=torn)


class Segment:
    """One file of the journal, open for appending."""

    def __init__(self, path: Path) -> None:
        """``OSError`` if the file cannot be made."""
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(path, flags, 0o600)
        #: Whether the last line is missing, or only its beginning is in the file.
        self.torn = False

    def append(self, line: bytes) -> None:
        """Write one line. After an ``OSError`` it is torn: ``decode`` skips it."""
        data = b"\n" + line if self.torn else line
        # Set before the write and cleared after it: after an error the next line starts anew.
        self.torn = True
        while data:
            data = data[os.write(self._fd, data) :]
        self.torn = False

    def close(self) -> None:
        """Stop writing. The file stays for the next ``recover``."""
        os.close(self._fd)

    def discard(self) -> None:
        """Close and delete a segment whose items are all in the database."""
        self.close()
        self.path.unlink(missing_ok=True)


class Journal:
    """The segments under one path. Not thread-safe: its owner, ``RecordWriter``, holds a lock."""

    def __init__(self, path: Path) -> None:
        """Open a new segment after those of earlier processes. ``OSError`` if it cannot be made."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._left_behind = _segments(path)
        self._number = self._left_behind[-1][0] + 1 if self._left_behind else 1
        self.active = self._open()

    def _open(self) -> Segment:
        return Segment(self._path.with_name(f"{self._path.name}.{self._number}"))

    def next_segment(self) -> Segment:
        """A new, empty segment to replace ``active``. ``OSError`` if it cannot be made."""
        self._number += 1
        return self._open()

    def left_behind(self) -> Iterator[Path]:
        """The segments of earlier processes, oldest first."""
        return (path for _, path in self._left_behind)


def _segments(path: Path) -> list[tuple[int, Path]]:
    name = re.compile(re.escape(path.name) + r"\.(\d+)")
    found = ((name.fullmatch(entry.name), entry) for entry in path.parent.iterdir())
    return sorted((int(match[1]), entry) for match, entry in found if match)
