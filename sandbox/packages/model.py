"""What a function keeps of a package."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.frozen import FrozenRecord
from scf_sandbox.preflight.bootstrap import MISSING, NOT_EXECUTABLE

if TYPE_CHECKING:
    from scf_sandbox.preflight import Finding


class Bootstrap(StrEnum):
    """What the package holds at its root under the name ``bootstrap``."""

    OK = "ok"
    MISSING = "missing"
    NOT_EXECUTABLE = "not_executable"

    @property
    def finding(self) -> Finding | None:
        """What keeps the platform from starting it; None when it can."""
        return _FINDINGS.get(self)


_FINDINGS = {Bootstrap.MISSING: MISSING, Bootstrap.NOT_EXECUTABLE: NOT_EXECUTABLE}


class CodeRef(FrozenRecord):
    """A package that was checked and saved.

    ``digest`` is the SHA-256 of the zip, in hex. Sizes are in bytes.
    """

    digest: str
    zip_bytes: int
    unpacked_bytes: int
    bootstrap: Bootstrap

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Why invocations are bound to fail, if they are."""
        finding = self.bootstrap.finding
        return (finding,) if finding else ()


def bootstrap_of(findings: list[Finding]) -> Bootstrap:
    """The state of ``bootstrap`` that these findings tell of."""
    return next((state for state, told in _FINDINGS.items() if told in findings), Bootstrap.OK)
