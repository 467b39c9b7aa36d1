"""A refusal of the kernel's: its number in words, and the finding that is made of it."""

from __future__ import annotations

from scf_sandbox.preflight.bootstrap import BOOTSTRAP
from scf_sandbox.preflight.finding import Finding, Level

#: Linux's numbers, whatever system the check runs on.
EPERM, ENOENT, E2BIG, ENOEXEC, EAGAIN, ENOMEM, EACCES = 1, 2, 7, 8, 11, 12, 13
ENOTDIR, ELOOP, ELIBBAD = 20, 40, 80

_WORDS = {
    EPERM: "Operation not permitted",
    ENOENT: "No such file or directory",
    E2BIG: "Argument list too long",
    ENOEXEC: "Exec format error",
    EAGAIN: "Resource temporarily unavailable",
    ENOMEM: "Cannot allocate memory",
    EACCES: "Permission denied",
    ENOTDIR: "Not a directory",
    ELOOP: "Too many levels of symbolic links",
    ELIBBAD: "Accessing a corrupted shared library",
}

LINE_ENDS_FIX = (
    "save it with LF line ends (dos2unix bootstrap; with git: bootstrap text eol=lf in"
    " .gitattributes)"
)


def refused(
    code: str, errno: int, reason: str, fix: str, *, line: int | None = None, file: str = BOOTSTRAP
) -> Finding:
    """The kernel refused ``./bootstrap`` with ``errno``, because of ``reason``."""
    told = f"the kernel refused ./bootstrap ({words(errno)}): {reason}"
    return Finding(Level.ERROR, file, line, code, told, fix)


def words(errno: int) -> str:
    """What Linux calls this error."""
    return _WORDS.get(errno, f"errno {errno}")
