"""What was put but is not in the database yet, in files that outlive the process.

The journal is a row of segments, ``<path>.<number>``, of which the last is written to. A segment is
deleted once everything in it is in the database. Each line is one JSON array: a kind, then a row.
A segment is mapped into memory, and a line is copied there: no system call, in which other threads
could take the interpreter, on the way of an invocation. What does not fit is written behind it.
Nothing is synced: the death of the process loses nothing, the loss of power what the system had not
written yet.
"""

from __future__ import annotations

import mmap
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

#: Room for what is put between two writes to the database, at 7,000 invocations a second. To give
#: it its place on the disk takes time, and four times as much of it showed in cold starts.
MAPPED_BYTES = 1024 * 1024

#: The kind says how the row is laid out. A change of the columns takes new kinds, and a reader for
#: these: a journal may be read by a newer version than the one that wrote it.
RECORD = "r1"
CHUNK = "l1"

_WIDTHS = {RECORD: len(invocations.columns), CHUNK: len(log_chunks.columns)}


class Item(NamedTuple):
    """A row on its way to the database. ``size`` is what it takes in the journal, in bytes."""

    kind: str
    row: Row
    size: int


def encode(kind: str, row: Row) -> bytes:
    """One line of the journal. Raises ``ValueError`` for text that is not valid Unicode."""
    return to_json((kind, *row)) + b"\n"


def decode(line: bytes) -> Item | None:
    """The item in a line, or None if the line is torn or of a kind unknown here."""
    try:
        value: Any = from_json(line)
    except ValueError:
        return None
    match value:
        case [str() as kind, *row] if _WIDTHS.get(kind) == len(row):
            return Item(kind, tuple(row), len(line))
    return None


def read_segment(path: Path) -> Iterator[Item]:
    """The items in a segment, in the order in which they were put; torn lines are left out.

    Raises ``OSError``.
    """
    torn = 0
    with path.open("rb") as lines:
        for line in lines:
            line = line.lstrip(b"\0")  # what was left of the mapped part
            item = decode(line)
            if item:
                yield item
            elif line.strip():
                torn += 1
    if torn:
        log.warning("journal_lines_skipped", path=str(path), lines=torn)


class Segment:
    """One file of the journal, open for appending. Its first ``MAPPED_BYTES`` have their place on
    the disk from the beginning, so that copying into them cannot fail."""

    def __init__(self, path: Path) -> None:
        """``OSError`` if it cannot be made, or its place on the disk cannot be had."""
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(path, flags, 0o600)
        try:
            os.posix_fallocate(self._fd, 0, MAPPED_BYTES)
            self._map = mmap.mmap(self._fd, MAPPED_BYTES)
            self._mapped = MAPPED_BYTES
        except BaseException:
            self.discard()
            raise
        self._at = 0
        #: Whether the last line could not be written, or not all of it.
        self.torn = False

    def append(self, line: bytes) -> None:
        """Write a line, whole or not at all as far as ``decode`` is concerned; else ``OSError``."""
        end = self._at + len(line)
        if end <= self._mapped:
            self._map[self._at : end] = line
            self._at = end
        else:
            self._mapped = 0  # all that follows goes behind it, too: the order is kept
            self._append_behind(line)

    def _append_behind(self, line: bytes) -> None:
        data = b"\n" + line if self.torn else line
        # Set first and cleared last: whatever happens between, the next line starts afresh.
        self.torn = True
        while data:
            data = data[os.write(self._fd, data) :]
        self.torn = False

    def close(self) -> None:
        """Write no more; the file stays for the next ``recover``."""
        os.close(self._fd)  # the mapping goes with its object

    def discard(self) -> None:
        """Close and delete: everything in it is in the database."""
        self.close()
        self.path.unlink(missing_ok=True)


class Journal:
    """The segments under one path. Not thread-safe: its owner, ``RecordWriter``, sees to that."""

    def __init__(self, path: Path) -> None:
        """Opens a new segment after those left behind. Raises ``OSError`` if it cannot."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._left_behind = _segments(path)
        self._number = self._left_behind[-1][0] + 1 if self._left_behind else 1
        self.active = self._open()

    def _open(self) -> Segment:
        return Segment(self._path.with_name(f"{self._path.name}.{self._number}"))

    def next_segment(self) -> Segment:
        """A new, empty segment to put in the place of ``active``. Raises ``OSError``."""
        self._number += 1
        return self._open()

    def left_behind(self) -> Iterator[Path]:
        """The segments of earlier processes, oldest first."""
        return (path for _, path in self._left_behind)


def _segments(path: Path) -> list[tuple[int, Path]]:
    name = re.compile(re.escape(path.name) + r"\.(\d+)")
    found = ((name.fullmatch(entry.name), entry) for entry in path.parent.iterdir())
    return sorted((int(match[1]), entry) for match, entry in found if match)
