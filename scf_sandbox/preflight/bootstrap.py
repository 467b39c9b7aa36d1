"""Whether the platform can start the package: its file ``bootstrap`` (contract 1.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scf_sandbox.preflight.files import shown
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.view import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scf_sandbox.preflight.view import PackageView

BOOTSTRAP = "bootstrap"
#: Others must be able to execute it: code belongs to root, and runs as another user.
OTHERS_EXECUTE = 0o001

MISSING = Finding(
    Level.ERROR,
    BOOTSTRAP,
    None,
    "bootstrap-missing",
    "there is no file named bootstrap at the root of the zip: invocations will fail with 443",
    "zip the files themselves, not the directory that holds them",
)
NOT_EXECUTABLE = Finding(
    Level.ERROR,
    BOOTSTRAP,
    None,
    "bootstrap-not-executable",
    "bootstrap is not executable: invocations will fail with 443",
    "chmod 755 bootstrap and zip it again, on a system that keeps modes",
)

#: What an invocation answers with status 443, by the code of the finding that it comes from.
RELOAD_FAILURES = {
    MISSING.code: "ReloadFail: Bootstrap does not exist\n",
    NOT_EXECUTABLE.code: "ReloadFail: Bootstrap not executable\n",
}

#: What macOS's archiver puts beside the files.
_MACOS = "__MACOSX/"


def check_bootstrap(package: PackageView) -> Iterator[Finding]:
    """``bootstrap-missing`` or ``bootstrap-not-executable``. A layer's file is not judged."""
    found = package.stat(BOOTSTRAP)
    if found is None or found.kind is FileKind.DIRECTORY:
        yield missing_bootstrap(package)
    elif found.kind is FileKind.FILE and not found.mode & OTHERS_EXECUTE:
        yield NOT_EXECUTABLE


def missing_bootstrap(package: PackageView) -> Finding:
    """``bootstrap-missing``, with what lies there instead."""
    return missing_instead(found_instead(package))


def missing_instead(path: str) -> Finding:
    """``bootstrap-missing``; ``path`` is what ``found_instead`` found."""
    if not path:
        return MISSING
    if path == BOOTSTRAP:
        fix = "bootstrap is a directory or a link that leads nowhere there: let it be a file"
    elif path.endswith(f"/{BOOTSTRAP}"):
        fix = f"{shown(path)} is there: zip what is in {shown(path.rpartition('/')[0])}, not it"
    else:
        fix = f"{shown(path)} is there: name it bootstrap"
    return replace(MISSING, file=path, fix=fix)


def found_instead(package: PackageView) -> str:
    """The path that was probably meant to be ``bootstrap``; empty when there is none.

    The name itself in an outer folder (the highest of several), or another name at the root:
    ``scf_bootstrap`` of web functions, one with an ending, capitals or blanks.
    """
    best: tuple[int, int, str] | None = None
    for path in package.names():
        folder, _, name = path.rpartition("/")
        rank = _rank(path, folder, name)
        if rank is None or (best is not None and rank >= best[:2]):
            continue
        found = package.stat(path)
        if path == BOOTSTRAP or (found is not None and found.kind is not FileKind.DIRECTORY):
            best = (*rank, path)
    return best[2] if best else ""


def _rank(path: str, folder: str, name: str) -> tuple[int, int] | None:
    """How probable a path is, the best first; None when it is not."""
    if path.startswith(_MACOS):
        return None
    if name == BOOTSTRAP:
        return (2, 0) if not folder else (0, folder.count("/"))
    if folder:
        return None
    plain = name.strip().lower()
    if plain == BOOTSTRAP or plain.partition(".")[0] in (BOOTSTRAP, "scf_bootstrap"):
        return (1, 0)
    return None
