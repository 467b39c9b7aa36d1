"""What a function keeps of a package."""

from __future__ import annotations

from enum import StrEnum

from sandbox.frozen import FrozenRecord


class Bootstrap(StrEnum):
    """What the package holds at its root under the name ``bootstrap``."""

    OK = "ok"
    MISSING = "missing"
    NOT_EXECUTABLE = "not_executable"


class CodeRef(FrozenRecord):
    """A package that was checked and saved.

    ``digest`` is the SHA-256 of the zip, in hex. Sizes are in bytes.
    """

    digest: str
    zip_bytes: int
    unpacked_bytes: int
    bootstrap: Bootstrap
