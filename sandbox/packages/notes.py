"""What was guessed or changed to take a zip. Each kind is told once, by its first case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sandbox.packages.entries import shown
from scf_sandbox.preflight import Finding, Level


class Liberty(Enum):
    """A kind of guess or change: its code, what was done, and what to do about it."""

    REPEATED = (
        "name-repeated",
        "is in the zip more than once, and the last one is taken",
        "keep one of them",
    )
    BACKSLASHES = (
        "backslashes-as-separators",
        "has backslashes between its parts, which are taken as folders",
        "make the zip with a tool that writes forward slashes",
    )
    BACKSLASH_KEPT = (
        "backslash-in-name",
        "has a backslash in a name made on Unix, which stays a part of the name",
        "write a forward slash if a folder is meant",
    )
    ABSOLUTE = (
        "absolute-path",
        "is an absolute path, and is taken from the root of the zip",
        "put files in by paths relative to the root",
    )
    UTF8_GUESSED = (
        "name-guessed",
        "has a name in no stated code page, read as UTF-8",
        "make the zip with a tool that marks names as UTF-8",
    )
    CP437_GUESSED = (
        "name-guessed-cp437",
        "has a name in no stated code page, read as code page 437",
        "make the zip with a tool that marks names as UTF-8",
    )
    NO_MODE = (
        "mode-missing",
        "has no Unix mode: it is 0644, and cannot be executed",
        "make the zip on a system that keeps modes if it must be",
    )
    SPECIAL = (
        "special-file",
        "is a pipe, a socket or a device, and is taken as a plain file",
        "leave it out, and make it when the function starts",
    )
    TWO_NAMES = (
        "two-names",
        "has another name before its data, and the one of the zip's directory is taken",
        "make the zip with another tool",
    )
    NAMELESS = (
        "entry-without-name",
        "names no file, and is left out",
        "give the file a name",
    )

    def __init__(self, code: str, done: str, fix: str) -> None:
        self.code = code
        self.done = done
        self.fix = fix


@dataclass(slots=True)
class _Case:
    path: str
    name: str
    count: int = 1


class Notes:
    """Collects the liberties that were taken with one zip. They cost no more than their kinds."""

    def __init__(self) -> None:
        self._cases: dict[Liberty, _Case] = {}

    def add(self, liberty: Liberty, path: str, name: str = "") -> None:
        """``path`` is where the entry is now, ``name`` what the zip calls it if that differs."""
        case = self._cases.get(liberty)
        if case is None:
            self._cases[liberty] = _Case(path, name or path)
        else:
            case.count += 1

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One warning for each kind, in the order of ``Liberty``."""
        return tuple(
            _finding(liberty, self._cases[liberty]) for liberty in Liberty if liberty in self._cases
        )


def _finding(liberty: Liberty, case: _Case) -> Finding:
    reason = f"{shown(case.name)} {liberty.done}"
    if case.name != case.path and case.path:
        reason += f": it is {shown(case.path)}"
    if case.count > 1:
        reason += f" (and {case.count - 1} more like it)"
    return Finding(Level.WARNING, case.path, None, liberty.code, reason, liberty.fix)
