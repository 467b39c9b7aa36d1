"""What a check may ask of a package. A zip, a directory or a test's dictionary can answer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class FileKind(StrEnum):
    """What a path leads to, links followed."""

    FILE = "file"
    DIRECTORY = "directory"
    #: A place in a layer: what is there shows when an instance starts.
    LAYER = "layer"


class FileStat(NamedTuple):
    """``mode`` has the nine permission bits; of a layer's file it is 0, because it is unknown."""

    kind: FileKind
    mode: int


class PackageView(Protocol):
    """A package with its files. Paths are relative to its root, without ``.`` and ``..``."""

    def names(self) -> Iterable[str]:
        """Every path, parents before their children."""
        ...

    def stat(self, path: str) -> FileStat | None:
        """What ``path`` leads to when links are followed; None when it leads to nothing."""
        ...

    def head(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a file, links followed; empty when ``stat`` knows none."""
        ...

    def part(self, path: str, offset: int, size: int) -> bytes:
        """``size`` bytes of a file from ``offset`` on; fewer where it ends. Otherwise as ``head``.

        It may take as long as reading everything before them.
        """
        ...
