"""Reads the entries of a zip, and checks that none of them leads out of it.

Only the targets of symbolic links are decompressed. A zip is someone else's data: every name, mode,
size and target is checked before anything is done with it. Section numbers are those of PKWARE's
APPNOTE.TXT, the specification of the format.
"""

from __future__ import annotations

import binascii
import calendar
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.packages.central import MAX_EXTRA_BYTES, extra_sizes
from sandbox.packages.entries import Entry, Kind, Steps, in_order, refusal, shown, too_large
from sandbox.packages.links import Links
from sandbox.packages.names import made_on_unix, read_name
from sandbox.packages.notes import Liberty, Notes
from sandbox.packages.reader import open_entry
from scf_sandbox.preflight.bootstrap import BOOTSTRAP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.errors import LimitError

MAX_ENTRIES = 100_000
MAX_TARGET_BYTES = 1024

_SUPPORTED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
#: DOS's attribute of a directory, the only one of its that matters here.
_DOS_DIRECTORY = 0x10

#: What the zip and deflate readers raise on damaged data.
_DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    binascii.Error,
    EOFError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@contextmanager
def damage_refused(what: str) -> Iterator[None]:
    """Turn everything that the zip reader raises on damaged data into a ``refusal``."""
    try:
        yield
    except _DAMAGE as error:
        raise refusal(
            f"{what} ({error or type(error).__name__}): make the zip again, and send it as it is"
        ) from error


def check_entry_count(data: bytes) -> None:
    """Refuse a zip with too many entries, or with endless ones, before the reader makes an object
    of each."""
    for count, extra in enumerate(extra_sizes(data), 1):
        if count > MAX_ENTRIES:
            raise _too_many()
        if extra > MAX_EXTRA_BYTES:
            raise refusal(
                f"an entry has extra fields of {extra} bytes; the limit is {MAX_EXTRA_BYTES}: make"
                " the zip with another tool"
            )


def read_entries(
    archive: zipfile.ZipFile, zip_bytes: int, notes: Notes | None = None
) -> dict[str, Entry]:
    """Every entry by its path, and the directories that paths imply, parents first.

    ``zip_bytes`` is the size of the zip. ``notes`` takes what was guessed and changed.
    """
    notes = notes or Notes()
    infos = archive.infolist()
    if sum(info.compress_size for info in infos) > zip_bytes:
        raise refusal("entries share their data: make the zip anew, with one copy for each")
    entries: dict[str, Entry] = {}
    steps = Steps()
    for info in infos:
        entry = _entry(archive, info, notes)
        if entry is None:
            continue
        steps.take(entry.path)
        _check_repeated(entries.get(entry.path), entry, notes)
        entries[entry.path] = entry  # the last one wins, as in every unpacker that overwrites
    if not entries:
        raise refusal("it is empty: put bootstrap and what it needs at its root")
    _imply_directories(entries, steps)
    entries = {path: entries[path] for path in sorted(entries, key=in_order)}
    links = Links(entries, steps)
    for entry in entries.values():
        if entry.kind is Kind.LINK:
            links.follow(entry.path)
    return entries


def _check_repeated(known: Entry | None, entry: Entry, notes: Notes) -> None:
    """A file or link may take another's place; none takes a directory's, nor the reverse."""
    if known is None or known.kind is entry.kind is Kind.DIRECTORY:
        return
    if Kind.DIRECTORY in (known.kind, entry.kind):
        raise refusal(
            f"{shown(entry.path)} is there as a {known.kind.value} and as a {entry.kind.value}:"
            " keep one of them"
        )
    notes.add(Liberty.REPEATED, entry.path)


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, notes: Notes) -> Entry | None:
    """One entry, checked without regard to the others; None for the root."""
    name, path, named_directory = read_name(info, notes)
    if info.flag_bits & _ENCRYPTED:
        raise refusal(f"{shown(name)} is encrypted: make the zip without a password")
    if info.compress_type not in _SUPPORTED:
        raise refusal(
            f"{shown(name)} is compressed by method {info.compress_type}: use deflate, or store it"
        )
    kind, mode = _kind_and_mode(info, name, named_directory)
    if not path:
        if info.file_size:
            notes.add(Liberty.NAMELESS, path, name)
        return None
    if kind is Kind.LINK:
        target = _read_target(archive, info, path, notes)
        return Entry(path, kind, 0o777, len(target), _mtime(info), target, info)
    if kind is Kind.FILE:
        _note_mode(path, _attributes(info), notes)
    size = info.file_size if kind is Kind.FILE else 0
    return Entry(path, kind, mode, size, _mtime(info), "", info)


def _note_mode(path: str, attributes: int, notes: Notes) -> None:
    if not attributes:
        if path != BOOTSTRAP:  # of which more is said elsewhere
            notes.add(Liberty.NO_MODE, path)
    elif stat.S_IFMT(attributes) not in (stat.S_IFREG, 0):
        notes.add(Liberty.SPECIAL, path)


def _attributes(info: zipfile.ZipInfo) -> int:
    """Type and permissions as Unix has them; 0 when the zip does not tell."""
    return info.external_attr >> 16 if made_on_unix(info) else 0


def _kind_and_mode(info: zipfile.ZipInfo, name: str, named_directory: bool) -> tuple[Kind, int]:
    """What the entry is, and its permissions.

    Zips made on Windows have no modes. Their files are 0644: no unpacker makes them executable, so
    that a bootstrap of theirs is not, as in the cloud (contract 1.1). Pipes, sockets and devices
    become plain files, as by every unpacker. Set-id and sticky bits are dropped.
    """
    attributes = _attributes(info)
    if not attributes:
        marked = info.external_attr & _DOS_DIRECTORY and not info.file_size
        return (Kind.DIRECTORY, 0o755) if named_directory or marked else (Kind.FILE, 0o644)
    mode = attributes & 0o777
    match stat.S_IFMT(attributes):
        case stat.S_IFLNK if named_directory:
            raise refusal(
                f"{shown(name)} is a link with the name of a directory: make the zip again"
            )
        case stat.S_IFLNK:
            return Kind.LINK, 0o777
        case stat.S_IFDIR:
            return Kind.DIRECTORY, mode
        case _:
            return (Kind.DIRECTORY if named_directory else Kind.FILE), mode


def _read_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, notes: Notes) -> str:
    if not 0 < info.file_size <= MAX_TARGET_BYTES:
        raise refusal(f"link {shown(path)} has a target of {info.file_size} bytes: make it anew")
    with (
        damage_refused(f"link {shown(path)} is damaged"),
        open_entry(archive, info, path, notes) as source,
    ):
        # Not without a limit: the data may hold more than its header says.
        target = source.read(info.file_size).decode()
    if "\0" in target:
        raise refusal(f"link {shown(path)} has a NUL in its target: make it anew")
    return target


def _imply_directories(entries: dict[str, Entry], steps: Steps) -> None:
    """Add the directories that paths imply; refuse paths that go on below a file or a link.

    Each directory is looked at once, however much lies below it.
    """
    seen: set[str] = set()
    for path in list(entries):
        parent = path.rpartition("/")[0]
        while parent and parent not in seen:
            seen.add(parent)
            steps.take(parent)
            known = entries.get(parent)
            if known is None:
                entries[parent] = Entry(parent, Kind.DIRECTORY, 0o755)
                if len(entries) > MAX_ENTRIES:
                    raise _too_many()
            elif known.kind is not Kind.DIRECTORY:
                raise refusal(
                    f"{shown(path)} lies below {shown(parent)}, a {known.kind.value}: rename one"
                )
            parent = parent.rpartition("/")[0]


def _mtime(info: zipfile.ZipInfo) -> int:
    try:
        return max(0, calendar.timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return 0


def _too_many() -> LimitError:
    return too_large(f"more than {MAX_ENTRIES} entries: leave out what is not needed")


def check_sizes(zip_bytes: int, unpacked_bytes: int) -> None:
    """The platform's limits for a package (contract 3)."""
    if zip_bytes > limits.ZIP_BYTES:
        raise too_large(
            f"it is {zip_bytes} bytes; the limit is {limits.ZIP_BYTES}: leave out what is not"
            " needed, or move it to a layer"
        )
    if unpacked_bytes > limits.CODE_BYTES:
        raise too_large(
            f"it unpacks to more than the limit of {limits.CODE_BYTES} bytes: leave out what is"
            " not needed"
        )
