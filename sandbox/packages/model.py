"""What a function keeps of a package."""

from __future__ import annotations

from enum import StrEnum

from sandbox.frozen import FrozenRecord
from scf_sandbox.preflight import Finding  # noqa: TC001 - the type of a field
from scf_sandbox.preflight.bootstrap import MISSING, NOT_EXECUTABLE, missing_instead


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

    ``digest`` is the SHA-256 of the zip, in hex. Sizes are in bytes. ``instead`` is the path that
    was probably meant to be the missing ``bootstrap``, or empty. ``guesses`` are warnings: what was
    guessed or changed to take the zip, and what may differ in the cloud.
    """

    digest: str
    zip_bytes: int
    unpacked_bytes: int
    bootstrap: Bootstrap
    instead: str = ""
    guesses: tuple[Finding, ...] = ()

    @property
    def obstacle(self) -> Finding | None:
        """Why invocations are bound to fail, if they are."""
        if self.bootstrap is Bootstrap.MISSING:
            return missing_instead(self.instead)
        return self.bootstrap.finding

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything to tell its user: the obstacle first."""
        return (self.obstacle, *self.guesses) if self.obstacle else self.guesses


def bootstrap_of(findings: list[Finding]) -> tuple[Bootstrap, str]:
    """The state of ``bootstrap`` that these findings tell of, and what lies there instead."""
    states = {finding.code: state for state, finding in _FINDINGS.items()}
    for finding in findings:
        if finding.code in states:
            known = finding in _FINDINGS.values()
            return states[finding.code], "" if known else finding.file
    return Bootstrap.OK, ""
