"""An open zip as the preflight checks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.errors import RequestError
from sandbox.packages.entries import Kind
from sandbox.packages.links import Links
from sandbox.packages.reader import open_entry
from scf_sandbox.preflight import FileKind, FileStat

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Mapping

    from sandbox.packages.entries import Entry


class ZipContents:
    """A ``PackageView``. It reads from ``archive``, which must stay open."""

    def __init__(self, archive: zipfile.ZipFile, entries: Mapping[str, Entry]) -> None:
        """``entries`` are those of ``archive`` by path, as ``read_entries`` gives them."""
        self._archive = archive
        self._entries = entries
        self._links = Links(entries)

    def names(self) -> Iterable[str]:
        """See ``PackageView``."""
        return self._entries

    def stat(self, path: str) -> FileStat | None:
        """See ``PackageView``."""
        place = self._place(path)
        if place is None:
            return FileStat(FileKind.LAYER, 0)
        entry = self._entries.get(place)
        if entry is None:
            return None
        kind = FileKind.FILE if entry.kind is Kind.FILE else FileKind.DIRECTORY
        return FileStat(kind, entry.mode)

    def head(self, path: str, limit: int) -> bytes:
        """See ``PackageView``."""
        return self.part(path, 0, limit)

    def part(self, path: str, offset: int, size: int) -> bytes:
        """See ``PackageView``."""
        place = self._place(path)
        entry = self._entries.get(place) if place else None
        if entry is None or entry.info is None or entry.kind is not Kind.FILE:
            return b""
        if offset >= entry.size:
            return b""
        with open_entry(self._archive, entry.info) as source:
            source.seek(offset)
            return source.read(size)

    def _place(self, path: str) -> str | None:
        """Where ``path`` leads; None for a layer. A place of no entry where it leads out."""
        try:
            return self._links.follow(path)
        except RequestError:
            return ""
