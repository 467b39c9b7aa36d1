"""Looks at a zip's central directory before the zip reader makes objects of it.

Section numbers are those of PKWARE's APPNOTE.TXT, the specification of the format.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sandbox.packages.entries import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Extra fields are times, owners and long sizes: a hundred bytes. The reader takes a time that
#: grows with the square of their length.
MAX_EXTRA_BYTES = 4096

_END = b"PK\5\6"
_END_BYTES = 22
_LONG_END = b"PK\6\6"
_LONG_END_BYTES = 56
_LOCATOR = b"PK\6\7"
_LOCATOR_BYTES = 20
_COMMENT_BYTES = 65_535
_RECORD = b"PK\1\2"
_RECORD_BYTES = 46


def extra_sizes(data: bytes) -> Iterator[int]:
    """Bytes of extra fields, of each record of the central directory (4.3.12) up to the first that
    is none.

    The number in the end record (4.3.16) is not believed. A ``refusal`` when there is no end.
    """
    at, stop = _bounds(data)
    while at + _RECORD_BYTES <= stop and data.startswith(_RECORD, at):
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        yield extra
        at += _RECORD_BYTES + name + extra + comment


def _bounds(data: bytes) -> tuple[int, int]:
    """Where the directory begins and ends: right before the end record, zip64's (4.3.14) or not."""
    end = data.rfind(_END, max(0, len(data) - _END_BYTES - _COMMENT_BYTES))
    if end < 0 or end + _END_BYTES > len(data):
        raise refusal("this is not a zip: send a zip archive in base64, not another format")
    (size,) = struct.unpack_from("<L", data, end + 12)
    long_end = end - _LOCATOR_BYTES - _LONG_END_BYTES
    if (
        long_end >= 0
        and data.startswith(_LOCATOR, end - _LOCATOR_BYTES)
        and data.startswith(_LONG_END, long_end)
    ):
        (size,) = struct.unpack_from("<Q", data, long_end + 40)
        end = long_end
    return max(0, end - size), end
