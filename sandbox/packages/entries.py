"""What an entry of a zip is, how one is refused, and how much work a zip may cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sandbox.errors import InvalidParameterValue, LimitError, RequestError

if TYPE_CHECKING:
    import zipfile

#: So many steps a zip may cost: about a second. 100,000 files with paths of 150 bytes cost 500,000.
MAX_STEPS = 2_000_000
#: A step is one name of a path, and so many bytes of the path before it: they are copied, hashed,
#: and kept.
STEP_BYTES = 32

#: So many characters of a name are shown in a message.
_SHOWN = 200


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


class Steps:
    """The work that one zip has cost so far."""

    def __init__(self) -> None:
        self.taken = 0

    def take(self, path: str) -> None:
        """Look at one path, or go one step to it. ``too_large`` above the limit."""
        self.taken += 1 + len(path) // STEP_BYTES
        if self.taken > MAX_STEPS:
            raise too_large(
                f"its paths and links take more than {MAX_STEPS} steps: leave out files, shorten"
                " the paths, and let links lead straight to their files"
            )


def refusal(message: str) -> RequestError:
    """The platform's error for a zip that it does not take."""
    return RequestError(f"ZipFile: {message}", InvalidParameterValue.ZIP_FILE)


def too_large(message: str) -> LimitError:
    """The platform's error for a parameter that is longer than allowed."""
    return LimitError(f"ZipFile: {message}", InvalidParameterValue.LIMIT_EXCEEDED)


def shown(name: str) -> str:
    """A name as messages have it: quoted, and cut where it is long."""
    return repr(name) if len(name) <= _SHOWN else f"{name[:_SHOWN]!r}..."


def in_order(path: str) -> str:
    """A sort key: parents come first, and all that is below a path follows it directly.

    The order is that of the lists of names. A NUL is in no name, and comes before every other
    character.
    """
    return path.replace("/", "\0")
