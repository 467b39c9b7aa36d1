"""Opens the data of an entry, also where the name before the data is another one.

A zip names each entry twice: in the central directory, which counts, and before its data. Python's
reader refuses an entry whose names differ; other unpackers take the directory's. Section numbers
are those of PKWARE's APPNOTE.TXT, the specification of the format.
"""

from __future__ import annotations

import struct
import zipfile
from copy import copy
from typing import IO, TYPE_CHECKING

from sandbox.packages.notes import Liberty

if TYPE_CHECKING:
    from sandbox.packages.notes import Notes

_LOCAL = b"PK\3\4"
_LOCAL_BYTES = 30
_UTF8 = 0x800


def open_entry(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    path: str = "",
    notes: Notes | None = None,
) -> IO[bytes]:
    """The unpacked data of ``info``. ``notes`` takes it when the names of ``path`` differ.

    Raises what the zip reader raises on damaged data.
    """
    try:
        return archive.open(info)
    except zipfile.BadZipFile:
        local = _local_name(archive, info)
        if local is None or local[0] == info.orig_filename:
            raise
    alike = copy(info)
    alike.orig_filename, raw = local
    if notes is not None and raw != _raw(info):
        notes.add(Liberty.TWO_NAMES, path)
    return archive.open(alike)


def _local_name(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[str, bytes] | None:
    """The name before the data (4.3.7) as the reader decodes it, and its bytes; None if there is
    no header."""
    file = archive.fp
    assert file is not None
    file.seek(info.header_offset)
    header = file.read(_LOCAL_BYTES)
    if len(header) < _LOCAL_BYTES or not header.startswith(_LOCAL):
        return None
    (flags,) = struct.unpack_from("<H", header, 6)
    (size,) = struct.unpack_from("<H", header, 26)
    raw = file.read(size)
    return raw.decode("utf-8" if flags & _UTF8 else "cp437"), raw


def _raw(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
