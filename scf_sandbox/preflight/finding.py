"""What a check reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    #: Invocations are bound to fail.
    ERROR = "error"
    #: Invocations may fail, or differ from the cloud's.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a package.

    ``file`` is a path relative to the package's root. ``line`` counts from 1; it is None when the
    whole file is meant. ``code`` is a fixed name for programs, ``reason`` says what is wrong and
    what comes of it, ``fix`` what to do.
    """

    level: Level
    file: str
    line: int | None
    code: str
    reason: str
    fix: str

    @property
    def message(self) -> str:
        """Reason and fix in one line."""
        return f"{self.reason}; {self.fix}"
