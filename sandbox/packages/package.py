"""A function's package: a zip that was checked as a whole, kept as it came, unpacked on demand."""

from __future__ import annotations

import binascii
import hashlib
import io
import os
import tarfile
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from sandbox import limits
from sandbox.errors import InvalidParameterValue, PlatformError, RequestError, disk_error
from sandbox.packages.archive import (
    check_entry_count,
    check_sizes,
    damage_refused,
    read_entries,
)
from sandbox.packages.contents import ZipContents
from sandbox.packages.entries import Entry, Kind, in_order, refusal, shown, too_large
from sandbox.packages.links import Links
from sandbox.packages.model import CodeRef, bootstrap_of
from sandbox.packages.notes import Notes
from sandbox.packages.reader import open_entry
from sandbox.packages.unpack import CHUNK_BYTES, add_to_tar, extract
from scf_sandbox import preflight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Base64 text of the largest zip, without white space.
BASE64_CHARS = -(-limits.ZIP_BYTES // 3) * 4

_HALF_SAVED = ".saving-"
_WHITE_SPACE = b" \t\r\n\v\f"


class Package:
    """A package that ``inspect`` accepted. Each operation opens its zip anew; safe in threads.

    ``ref`` is what a function keeps of it. ``entries`` are its files, directories and links by
    path, parents first. Operations raise ``PlatformError`` when the saved zip is damaged.
    """

    def __init__(self, source: bytes | Path, ref: CodeRef, entries: dict[str, Entry]) -> None:
        """``source`` is the zip, or the path of its file."""
        self._source = source
        self.ref = ref
        self.entries = entries

    def read(self, path: str, limit: int) -> bytes | None:
        """The first ``limit`` bytes of a file, links followed; None when there is no such file."""
        found = Links(self.entries).follow(path)
        entry = self.entries.get(found) if found else None
        if entry is None or entry.kind is not Kind.FILE:
            return None
        assert entry.info is not None
        with self.opened() as archive, open_entry(archive, entry.info) as source:
            return source.read(limit)

    def write_tar(self, target: BinaryIO, *, uid: int = 0, gid: int = 0) -> None:
        """Write all entries as an uncompressed tar stream, with their modes, links and times."""
        with self.opened() as archive, _tar_stream(target) as tar:
            for entry in self.entries.values():
                add_to_tar(tar, archive, entry, uid=uid, gid=gid)

    def extract(self, directory: Path) -> None:
        """Unpack into ``directory``, which must not exist, or hold this package already."""
        with self.opened() as archive:
            extract(archive, self.entries.values(), directory)

    @contextmanager
    def opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the zip, to read entries within the block."""
        try:
            with (
                damage_refused("the stored package is damaged"),
                _open_zip(self._source) as archive,
            ):
                yield archive
        except RequestError as error:
            raise PlatformError(
                f"package {self.ref.digest} on disk is damaged: upload the code again"
            ) from error


class PackageStore:
    """Zips on disk, each under its digest. Blocking; safe in threads and for several processes."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made when the first package is saved."""
        self._directory = directory

    def save(self, data: bytes, digest: str = "") -> CodeRef:
        """Inspect and save a zip. It is durable when this returns. Saving it again does nothing.

        ``digest`` is the zip's, if it is known. Raises what ``inspect`` raises.
        """
        return self.keep(inspect(data, digest), data)

    def keep(self, package: Package, data: bytes) -> CodeRef:
        """``save`` for a zip that was inspected already. ``PlatformError`` where the disk fails."""
        try:
            self._write(self._path(package.ref.digest), data)
        except OSError as error:
            raise disk_error(error, f"the code in {self._directory}") from error
        return package.ref

    def _write(self, path: Path, data: bytes) -> None:
        if path.exists() and path.read_bytes() == data:
            return  # a damaged copy is replaced: users mend it by uploading again
        self._directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=_HALF_SAVED, dir=self._directory)
        try:
            with open(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(name, path)
            _sync_directory(self._directory)
        finally:
            Path(name).unlink(missing_ok=True)  # it exists only if it was not renamed

    def open(self, digest: str) -> Package:
        """A package that was saved. ``PlatformError`` when it is missing or damaged."""
        path = self._path(digest)
        try:
            zip_bytes = path.stat().st_size
            with damage_refused("unreadable"), _open_zip(path) as archive:
                notes = Notes()
                entries = read_entries(archive, zip_bytes, notes)
                ref = _ref(digest, zip_bytes, archive, entries, notes)
        except (OSError, RequestError) as error:
            raise _unreadable(digest) from error
        return Package(path, ref, entries)

    @contextmanager
    def viewed(self, digest: str) -> Iterator[ZipContents]:
        """A package that was saved, as the preflight check sees it within the block.

        ``PlatformError`` when it is missing or damaged, also from within.
        """
        package = self.open(digest)
        with package.opened() as archive:
            yield ZipContents(archive, package.entries)

    def write_merged(
        self, digests: Iterable[str], target: BinaryIO, *, uid: int = 0, gid: int = 0
    ) -> None:
        """Write several packages as one tar stream. Of equal paths the last one wins.

        Every path is written once, and only below directories, so that unpacking follows no link.
        """
        with ExitStack() as stack:
            merged: dict[str, tuple[zipfile.ZipFile, Entry]] = {}
            for digest in digests:
                package = self.open(digest)
                archive = stack.enter_context(package.opened())
                covering = {
                    path
                    for path, entry in package.entries.items()
                    if entry.kind is not Kind.DIRECTORY
                    and path in merged
                    and merged[path][1].kind is Kind.DIRECTORY
                }
                if covering:
                    merged = {path: merged[path] for path in _not_below(covering, merged)}
                for path, entry in package.entries.items():
                    merged[path] = (archive, entry)
            tar = stack.enter_context(_tar_stream(target))
            for path in sorted(merged, key=in_order):
                add_to_tar(tar, *merged[path], uid=uid, gid=gid)

    def read(self, digest: str) -> bytes:
        """The bytes of the zip. ``PlatformError`` when it is missing."""
        try:
            return self._path(digest).read_bytes()
        except OSError as error:
            raise _unreadable(digest) from error

    def remove(self, digest: str) -> None:
        """Delete a package; nothing happens if there is none."""
        self._path(digest).unlink(missing_ok=True)

    def digests(self) -> frozenset[str]:
        """The digests of all saved packages."""
        return frozenset(path.stem for path in self._directory.glob("[0-9a-f]*.zip"))

    def sweep(self) -> None:
        """Delete what a crash left half-saved. Called before anything is saved."""
        for path in self._directory.glob(f"{_HALF_SAVED}*"):
            path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"not a package's digest: {digest!r}")
        return self._directory / f"{digest}.zip"


def inspect(data: bytes, digest: str = "") -> Package:
    """Check a whole zip, in one pass over its contents and without unpacking it to disk.

    ``InvalidParameterValue.ZipFile`` for data that is no zip, is damaged, encrypted or compressed
    by another method than deflate, or holds a path that is a directory and something else, or a
    name or link that leads out. ``InvalidParameterValue.LimitExceeded`` above 50 MB, above 500 MB
    unpacked (counted, the headers are not believed), or above 100,000 entries. ``digest`` is the
    zip's, if known. What was guessed or changed to take it is in ``ref.guesses``.
    """
    check_sizes(len(data), 0)
    check_entry_count(data)
    with damage_refused("the zip cannot be read"), _open_zip(data) as archive:
        notes = Notes()
        entries = read_entries(archive, len(data), notes)
        # The claims of the headers first: that check costs nothing.
        check_sizes(len(data), sum(entry.size for entry in entries.values()))
        _read_everything(archive, entries, len(data), notes)
        ref = _ref(digest or digest_of(data), len(data), archive, entries, notes)
    return Package(data, ref, entries)


def digest_of(data: bytes) -> str:
    """The name of a package: the SHA-256 of its zip, in hex."""
    return hashlib.sha256(data).hexdigest()


def decode_base64(text: str) -> bytes:
    """The bytes of a ``ZipFile`` parameter. Only white space is skipped.

    ``InvalidParameterValue.ZipFileBase64BinasciiError`` for anything but standard base64,
    ``InvalidParameterValue.LimitExceeded`` above 50 MB.
    """
    from pybase64 import b64decode  # 0.3 MB that only uploads need

    code = InvalidParameterValue.ZIP_FILE_BASE64_BINASCII_ERROR
    with suppress(ValueError):  # the common case: nothing to skip
        if len(text) <= BASE64_CHARS and text:
            return b64decode(text, validate=True)
    try:
        compact = text.encode("ascii").translate(None, _WHITE_SPACE)
    except UnicodeEncodeError as error:
        raise RequestError("ZipFile is not base64: it holds non-ASCII characters", code) from error
    if not compact:
        raise RequestError("ZipFile is empty: send the zip in base64", code)
    if len(compact) > BASE64_CHARS:
        raise too_large(f"it is above the limit of {limits.ZIP_BYTES} bytes: send less")
    try:
        return binascii.a2b_base64(compact, strict_mode=True)
    except binascii.Error as error:
        raise RequestError(
            f"ZipFile is not standard base64 ({error}): encode the zip's bytes once, with padding,"
            " and send nothing around them",
            code,
        ) from error


def _read_everything(
    archive: zipfile.ZipFile, entries: dict[str, Entry], zip_bytes: int, notes: Notes
) -> None:
    """Decompress all files without keeping them, to check their checksums and sizes."""
    total = 0
    for entry in entries.values():
        if entry.kind is not Kind.FILE or entry.info is None:
            continue
        before = total
        with (
            damage_refused(f"{shown(entry.path)} is damaged"),
            open_entry(archive, entry.info, entry.path, notes) as source,
        ):
            # No more at once than is announced: a thousand liars would be unpacked for nothing.
            while chunk := source.read(min(CHUNK_BYTES, entry.size + 1)):
                total += len(chunk)
                check_sizes(zip_bytes, total)
        if total - before != entry.size:
            raise refusal(
                f"{shown(entry.path)} has {total - before} bytes where {entry.size} are announced:"
                " make the zip again"
            )


def _not_below(covering: set[str], paths: Iterable[str]) -> Iterator[str]:
    """Those of ``paths`` that do not lie below one of ``covering``, in one pass."""
    cover = "/"  # no path begins with it
    for path in sorted(paths, key=in_order):
        if path.startswith(cover):
            continue
        if path in covering:
            cover = f"{path}/"
        yield path


def _ref(
    digest: str,
    zip_bytes: int,
    archive: zipfile.ZipFile,
    entries: dict[str, Entry],
    notes: Notes,
) -> CodeRef:
    found = preflight.inspect(ZipContents(archive, entries))
    bootstrap, instead = bootstrap_of(found)
    return CodeRef(
        digest=digest,
        zip_bytes=zip_bytes,
        unpacked_bytes=sum(e.size for e in entries.values() if e.kind is Kind.FILE),
        bootstrap=bootstrap,
        instead=instead,
        guesses=notes.findings + tuple(f for f in found if f.level is preflight.Level.WARNING),
    )


def _open_zip(source: bytes | Path) -> zipfile.ZipFile:
    opened: IO[bytes] | Path = io.BytesIO(source) if isinstance(source, bytes) else source
    return zipfile.ZipFile(opened)


def _tar_stream(target: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=target, mode="w|", bufsize=CHUNK_BYTES)


def _unreadable(digest: str) -> PlatformError:
    return PlatformError(f"package {digest} cannot be read from disk: upload the code again")


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
