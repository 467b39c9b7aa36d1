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
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.errors import InvalidParameterValue, LimitError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_ENTRIES = 100_000
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4000
MAX_TARGET_BYTES = 1024
#: Linux follows this many links before it gives up.
MAX_HOPS = 40

#: The one place outside the package where a link may lead: layers are unpacked there.
LAYERS_ROOT = "/opt"
#: Where the package itself is unpacked.
CODE_ROOT = "/var/user"

#: Makers of zips whose entries carry Unix modes: Unix, and macOS as some tools number it.
_UNIX_MAKERS = frozenset({3, 19})
_SUPPORTED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_UTF8 = 0x800

_END_SIGNATURE = b"PK\5\6"
_ENTRY_SIGNATURE = b"PK\1\2"
_LOCATOR_SIGNATURE = b"PK\6\7"
_LOCATOR_BYTES = 20
_END_BYTES = 22
_COMMENT_BYTES = 65_535

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


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or link.

    ``path`` is relative, without ``.`` and ``..``. ``mode`` has the permission bits. ``size`` is in
    bytes, ``mtime`` in seconds since the epoch. ``info`` is None for a directory that only the
    paths below it imply.
    """

    path: str
    kind: Kind
    mode: int
    size: int = 0
    mtime: int = 0
    target: str = ""
    info: zipfile.ZipInfo | None = None


def refusal(message: str) -> RequestError:
    """The platform's error for a zip that it does not take."""
    return RequestError(f"ZipFile: {message}", InvalidParameterValue.ZIP_FILE)


def too_large(message: str) -> LimitError:
    """The platform's error for a parameter that is longer than allowed."""
    return LimitError(f"ZipFile: {message}", InvalidParameterValue.LIMIT_EXCEEDED)


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
    """Refuse a zip with too many entries, before the reader makes an object of each.

    The end record (APPNOTE 4.3.16) says where the central directory is, and how many entries it
    has. The number is not believed: the signatures in the directory (4.3.12) are counted.
    """
    end = data.rfind(_END_SIGNATURE, max(0, len(data) - _END_BYTES - _COMMENT_BYTES))
    if end < 0 or end + _END_BYTES > len(data):
        raise refusal("this is not a zip: send a zip archive in base64, not another format")
    (size,) = struct.unpack_from("<L", data, end + 12)
    is_zip64 = data.startswith(_LOCATOR_SIGNATURE, max(0, end - _LOCATOR_BYTES))
    start = end - size if size < end and not is_zip64 else 0
    if data.count(_ENTRY_SIGNATURE, start, end) > MAX_ENTRIES:
        raise _too_many()


def read_entries(archive: zipfile.ZipFile) -> dict[str, Entry]:
    """Every entry by its path, and the directories that paths imply, parents first."""
    entries: dict[str, Entry] = {}
    for info in archive.infolist():
        entry = _entry(archive, info)
        if entry is None:
            continue
        known = entries.get(entry.path)
        if known is not None and {known.kind, entry.kind} != {Kind.DIRECTORY}:
            raise refusal(f"{entry.path!r} is there twice: keep one of them")
        entries[entry.path] = entry
    if not entries:
        raise refusal("it is empty: put bootstrap and what it needs at its root")
    _imply_directories(entries)
    entries = dict(sorted(entries.items(), key=lambda item: item[0].split("/")))
    for entry in entries.values():
        if entry.kind is Kind.LINK:
            follow(entries, entry.path)
    return entries


def follow(entries: Mapping[str, Entry], path: str) -> str | None:
    """The path that ``path`` leads to when all links are followed; None when it is in a layer.

    It need not exist. A ``refusal`` for links that lead out of the package, or in a circle.
    """
    place: list[str] = []
    steps = deque(path.split("/"))
    hops = 0
    while steps:
        step = steps.popleft()
        if step in ("", "."):
            continue
        if step == "..":
            if not place:
                raise _escape(path)
            place.pop()
            continue
        place.append(step)
        entry = entries.get("/".join(place))
        if entry is None or entry.kind is not Kind.LINK:
            continue
        hops += 1
        if hops > MAX_HOPS:
            raise refusal(f"link {path!r} leads in a circle: remove it")
        place.pop()
        target = entry.target
        if target.startswith("/"):
            if _is_in_layers(target):
                return None
            if not _is_below(target, CODE_ROOT):
                raise _escape(path)
            place = []
            target = target.removeprefix(CODE_ROOT)
        steps.extendleft(reversed(target.split("/")))
    return "/".join(place)


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry | None:
    """One entry, checked without regard to the others; None for the root."""
    name = _decoded_name(info)
    path = _checked_path(name, info.create_system in _UNIX_MAKERS)
    if info.flag_bits & _ENCRYPTED:
        raise refusal(f"{name!r} is encrypted: make the zip without a password")
    if info.compress_type not in _SUPPORTED:
        raise refusal(
            f"{name!r} is compressed by method {info.compress_type}: use deflate, or store it"
        )
    kind, mode = _kind_and_mode(info, name)
    if not path:
        return None
    if kind is Kind.LINK:
        target = _read_target(archive, info, name)
        return Entry(path, kind, 0o777, len(target), _mtime(info), target, info)
    size = info.file_size if kind is Kind.FILE else 0
    return Entry(path, kind, mode, size, _mtime(info), "", info)


def _decoded_name(info: zipfile.ZipInfo) -> str:
    """The entry's name.

    The reader decodes names without the UTF-8 flag as code page 437 (APPNOTE, appendix D). Unix
    tools write raw bytes there, mostly UTF-8.
    """
    name = info.orig_filename
    if info.flag_bits & _UTF8 or name.isascii() or info.create_system not in _UNIX_MAKERS:
        return name
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name


def _checked_path(name: str, made_on_unix: bool) -> str:
    """``name`` without empty and ``.`` parts; empty for the root itself."""
    if "\0" in name:
        raise refusal(f"the name {name!r} holds a NUL: rename that file")
    if not made_on_unix and "\\" in name:
        raise refusal(
            f"{name!r} has backslashes between its parts: make the zip with a tool that writes"
            " forward slashes, as the format demands"
        )
    drive = len(name) > 1 and name[1] == ":" and not made_on_unix
    if name.startswith("/") or drive:
        raise refusal(f"{name!r} is an absolute path: put files in by paths relative to the root")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refusal(f"{name!r} leads out of the package: put files in by paths without ..")
    path = "/".join(parts)
    longest = max((len(part.encode()) for part in parts), default=0)
    if longest > MAX_NAME_BYTES or len(path.encode()) > MAX_PATH_BYTES:
        raise refusal(f"the path {name[:80]!r}... is too long for the file system: shorten it")
    return path


def _kind_and_mode(info: zipfile.ZipInfo, name: str) -> tuple[Kind, int]:
    """What the entry is, and its permissions.

    Zips made on Windows have no modes. Their files are 0644, so that a bootstrap of theirs is not
    executable, as in the cloud (contract 1.1). Set-id and sticky bits are dropped.
    """
    attributes = info.external_attr >> 16 if info.create_system in _UNIX_MAKERS else 0
    ends_as_directory = name.endswith("/")
    if not attributes:
        return (Kind.DIRECTORY, 0o755) if ends_as_directory else (Kind.FILE, 0o644)
    mode = attributes & 0o777
    match stat.S_IFMT(attributes):
        case stat.S_IFLNK if not ends_as_directory:
            return Kind.LINK, 0o777
        case stat.S_IFDIR:
            return Kind.DIRECTORY, mode
        case stat.S_IFREG | 0:
            return (Kind.DIRECTORY if ends_as_directory else Kind.FILE), mode
        case _:
            raise refusal(f"{name!r} is a special file: keep files, directories and links only")


def _read_target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> str:
    if not 0 < info.file_size <= MAX_TARGET_BYTES:
        raise refusal(f"link {name!r} has a target of {info.file_size} bytes: make it anew")
    with damage_refused(f"link {name!r} is damaged"), archive.open(info) as source:
        target = source.read().decode()
    if "\0" in target:
        raise refusal(f"link {name!r} has a NUL in its target: make it anew")
    return target


def _imply_directories(entries: dict[str, Entry]) -> None:
    """Add the directories that paths imply; refuse paths that go on below a file or a link."""
    for path in list(entries):
        parent = path.rpartition("/")[0]
        while parent:
            known = entries.get(parent)
            if known is None:
                entries[parent] = Entry(parent, Kind.DIRECTORY, 0o755)
                if len(entries) > MAX_ENTRIES:
                    raise _too_many()
            elif known.kind is not Kind.DIRECTORY:
                raise refusal(f"{path!r} lies below {parent!r}, a {known.kind.value}: rename one")
            elif known.info is None:
                break  # its parents were added together with it
            parent = parent.rpartition("/")[0]


def _mtime(info: zipfile.ZipInfo) -> int:
    try:
        return max(0, calendar.timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return 0


def _is_in_layers(target: str) -> bool:
    return _is_below(target, LAYERS_ROOT) and ".." not in target.split("/")


def _is_below(target: str, root: str) -> bool:
    return target == root or target.startswith(root + "/")


def _too_many() -> LimitError:
    return too_large(f"more than {MAX_ENTRIES} entries: leave out what is not needed")


def _escape(path: str) -> RequestError:
    return refusal(
        f"link {path!r} leads out of the package: let links lead to files within it, or below"
        f" {LAYERS_ROOT}"
    )


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
