"""Reads the names of entries: what common unpackers take is taken, and none leads out.

Section numbers are those of PKWARE's APPNOTE.TXT, the specification of the format.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from sandbox.packages.entries import refusal, shown
from sandbox.packages.notes import Liberty

if TYPE_CHECKING:
    import zipfile

    from sandbox.packages.notes import Notes

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4000
#: Deeper than any package of a language's own tools, and what can still be removed by one.
MAX_DEPTH = 256

#: Makers (4.4.2) whose entries carry Unix modes, and whose names may hold backslashes: Unix, BeOS,
#: macOS as some tools number it, AtheOS.
_UNIX_MAKERS = frozenset({3, 16, 19, 30})
_UTF8 = 0x800
#: The extra field with the name in UTF-8 (4.6.9), and how many fields are looked at to find it.
_UNICODE_PATH = 0x7075
_UNICODE_PATH_TAG = struct.pack("<H", _UNICODE_PATH)
_MAX_FIELDS = 32


class Name(NamedTuple):
    """``path`` is without empty, ``.`` and ``..`` parts, and empty for the root itself. ``text`` is
    for messages: the name as the zip has it."""

    text: str
    path: str
    is_directory: bool


def made_on_unix(info: zipfile.ZipInfo) -> bool:
    """Whether the entry's maker keeps Unix modes."""
    return info.create_system in _UNIX_MAKERS


def read_name(info: zipfile.ZipInfo, notes: Notes) -> Name:
    """The entry's name, with ``notes`` of what was guessed and changed.

    A ``refusal`` when it leads out, or when Linux cannot have it.
    """
    text, guess = _decoded(info)
    if "\0" in text:
        raise refusal(f"the name {shown(text)} holds a NUL: rename that file")
    on_unix = made_on_unix(info)
    slashed = text if on_unix else text.replace("\\", "/")
    relative = _relative(slashed, on_unix)
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    _check_path(path, parts, text)
    if guess is not None:
        notes.add(guess, path)
    if "\\" in text:
        notes.add(Liberty.BACKSLASH_KEPT if on_unix else Liberty.BACKSLASHES, path, text)
    if relative != slashed:
        notes.add(Liberty.ABSOLUTE, path, text)
    return Name(text, path, relative.endswith(("/", "/.")) or relative in ("", "."))


def _decoded(info: zipfile.ZipInfo) -> tuple[str, Liberty | None]:
    """The name, and how it was guessed.

    The reader decodes names without the UTF-8 flag as code page 437 (appendix D). Unix tools write
    raw bytes there, mostly UTF-8, and so do some for Windows. No other code page is known from a
    name alone.
    """
    name = info.orig_filename
    if info.flag_bits & _UTF8:
        return name, None
    if _UNICODE_PATH_TAG in info.extra:
        told = _unicode_path(info.extra, name.encode("cp437"))
        if told:
            return told, None
    if name.isascii():
        return name, None
    try:
        return name.encode("cp437").decode(), None if made_on_unix(info) else Liberty.UTF8_GUESSED
    except UnicodeDecodeError:
        return name, Liberty.CP437_GUESSED


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """The name in UTF-8 that stands beside ``raw``; empty when there is none, or for another."""
    at = 0
    for _ in range(_MAX_FIELDS):
        if at + 4 > len(extra):
            break
        tag, size = struct.unpack_from("<HH", extra, at)
        data = extra[at + 4 : at + 4 + size]
        at += 4 + size
        if tag != _UNICODE_PATH or len(data) < 5:
            continue
        version, checksum = struct.unpack_from("<BL", data)
        if version == 1 and checksum == zlib.crc32(raw):
            return data[5:].decode("utf-8", "ignore")
    return ""


def _relative(name: str, on_unix: bool) -> str:
    """``name`` without the drive of Windows and the slashes before it."""
    if not on_unix and name[1:2] == ":" and name[0].isascii() and name[0].isalpha():
        name = name[2:]
    return name.lstrip("/")


def _check_path(path: str, parts: list[str], name: str) -> None:
    if ".." in parts:
        raise refusal(f"{shown(name)} leads out of the package: put files in by paths without ..")
    _check_length(path, name)
    if len(parts) > MAX_DEPTH:
        raise refusal(
            f"{shown(name)} lies {len(parts)} levels deep; the limit is {MAX_DEPTH}: put it higher"
        )


def _check_length(path: str, name: str) -> None:
    if path.isascii() and len(path) <= MAX_NAME_BYTES:
        return  # the common case
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest > MAX_NAME_BYTES:
        raise refusal(
            f"{shown(name)} has a name of {longest} bytes in it; Linux takes {MAX_NAME_BYTES}:"
            " shorten it"
        )
    whole = len(path.encode())
    if whole > MAX_PATH_BYTES:
        raise refusal(
            f"the path {shown(name)} is {whole} bytes long; the limit is {MAX_PATH_BYTES}:"
            " shorten it"
        )
