"""Where the symbolic links of a package lead. Each is followed once, whatever leads through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sandbox.packages.entries import Kind, Steps, refusal, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.errors import RequestError
    from sandbox.packages.entries import Entry

#: Linux follows this many links on its way to a file before it gives up.
MAX_HOPS = 40

#: The one place outside the package where a link may lead: layers are unpacked there.
LAYERS_ROOT = "/opt"
#: Where the package itself is unpacked.
CODE_ROOT = "/var/user"


class _End(NamedTuple):
    """Where a path leads, None for a layer, and over how many links."""

    place: str | None
    hops: int


class Links:
    """Follows the links of one package. A link's end is kept, so that chains cost what they are
    long, and not the product of their lengths."""

    def __init__(self, entries: Mapping[str, Entry], steps: Steps | None = None) -> None:
        """``entries`` by their paths, directories included, and none below a file or a link.
        Without ``steps`` it counts its own."""
        self._entries = entries
        self._steps = steps or Steps()
        self._ends: dict[str, _End] = {}

    def follow(self, path: str) -> str | None:
        """The path that ``path`` leads to when all links are followed; None when it is in a layer.

        It need not exist. A ``refusal`` for links that lead out of the package, or in a circle.
        """
        entry = self._entries.get(path)
        if entry is not None:  # its parents are directories
            return self._end_of(entry, 0).place if entry.kind is Kind.LINK else path
        return self._walk("", path, path, 0).place

    def _end_of(self, link: Entry, hops: int) -> _End:
        """Where a link leads that was reached over ``hops`` others."""
        known = self._ends.get(link.path)
        if known is None:
            if hops >= MAX_HOPS:
                raise _circle(link.path)
            known = self._ends[link.path] = self._leave(link, hops + 1)
        if hops + known.hops > MAX_HOPS:
            raise _circle(link.path)
        return known

    def _leave(self, link: Entry, hops: int) -> _End:
        target, start = link.target, link.path.rpartition("/")[0]
        if target.startswith("/"):
            if _is_in_layers(target):
                return _End(None, 1)
            if not _is_below(target, CODE_ROOT):
                raise _escape(link.path)
            target, start = target.removeprefix(CODE_ROOT), ""
        end = self._walk(start, target, link.path, hops)
        return _End(end.place, end.hops + 1)

    def _walk(self, place: str, path: str, asked: str, hops: int) -> _End:
        """Go from the directory ``place`` along ``path``, having come over ``hops`` links."""
        here = 0
        for name in path.split("/"):
            self._steps.take(place)
            if name in ("", "."):
                continue
            if name == "..":
                if not place:
                    raise _escape(asked)
                place = place.rpartition("/")[0]
                continue
            place = f"{place}/{name}" if place else name
            entry = self._entries.get(place)
            if entry is None or entry.kind is not Kind.LINK:
                continue
            end = self._end_of(entry, hops + here)
            here += end.hops
            if end.place is None:
                return _End(None, here)
            place = end.place
        return _End(place, here)


def _is_in_layers(target: str) -> bool:
    return _is_below(target, LAYERS_ROOT) and ".." not in target.split("/")


def _is_below(target: str, root: str) -> bool:
    return target == root or target.startswith(root + "/")


def _circle(path: str) -> RequestError:
    return refusal(f"link {shown(path)} leads in a circle, or over too many links: remove it")


def _escape(path: str) -> RequestError:
    return refusal(
        f"link {shown(path)} leads out of the package: let links lead to files within it, or below"
        f" {LAYERS_ROOT}"
    )
