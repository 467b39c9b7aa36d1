"""Where the files of an instance are: package, layers and base image under their paths."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from scf_sandbox.preflight.view import FileKind, FileStat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scf_sandbox.preflight.base import BaseImage
    from scf_sandbox.preflight.view import PackageView

CODE_ROOT = "/var/user"
LAYERS_ROOT = "/opt"

#: So many characters of a name or a line of the user's are shown in a sentence.
SHOWN = 200


class Place(NamedTuple):
    """A file that was found. ``view`` is None in the base image, whose files cannot be read."""

    view: PackageView | None
    inner: str
    stat: FileStat

    def part(self, offset: int, size: int) -> bytes:
        """See ``PackageView.part``."""
        return self.view.part(self.inner, offset, size) if self.view is not None else b""

    @property
    def readable(self) -> bool:
        """Whether ``part`` gives its bytes."""
        return self.view is not None and self.stat.kind is FileKind.FILE


class InstanceFiles:
    """The file system of an instance, as far as it is known. Of equal paths the last layer wins."""

    def __init__(
        self, package: PackageView, layers: Sequence[PackageView], base: BaseImage
    ) -> None:
        """``layers`` are in the order in which they are bound."""
        self.package = package
        self.base = base
        self._layers = layers

    def find(self, path: str) -> Place | None:
        """What is at ``path``; a relative one counts from the package's root. None when nothing is
        known to be there."""
        path = absolute(path)
        if inner := below(path, CODE_ROOT):
            return _look(self.package, inner)
        if inner := below(path, LAYERS_ROOT):
            places = (_look(layer, inner) for layer in reversed(self._layers))
            return next((place for place in places if place), None)
        return Place(None, path, FileStat(FileKind.FILE, 0o755)) if self.base.has(path) else None

    def named(self, name: str) -> Iterator[str]:
        """The absolute paths of executable files of that name, in the package and in layers."""
        roots = [(CODE_ROOT, self.package), *((LAYERS_ROOT, layer) for layer in self._layers)]
        for root, view in roots:
            for path in view.names():
                if path.rpartition("/")[2] == name:
                    found = view.stat(path)
                    if found and found.kind is FileKind.FILE and found.mode & 0o001:
                        yield f"{root}/{path}"


def absolute(path: str) -> str:
    """``path`` as seen from the package's root, without ``.`` and ``..``."""
    path = posixpath.normpath(posixpath.join(CODE_ROOT, path))
    return "/" + path.lstrip("/")


def below(path: str, root: str) -> str:
    """``path`` relative to ``root``; empty when it is not below it."""
    return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else ""


def shown(text: str) -> str:
    """A name or a line of the user's, as it may stand in a sentence: short, and on one line."""
    cut = text if len(text) <= SHOWN else text[:SHOWN] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def _look(view: PackageView, inner: str) -> Place | None:
    found = view.stat(inner)
    return Place(view, inner, found) if found else None
