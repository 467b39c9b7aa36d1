"""Whether the platform can start the package: its file ``bootstrap`` (contract 1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def check_bootstrap(package: PackageView) -> Iterator[Finding]:
    """``bootstrap-missing`` or ``bootstrap-not-executable``. A layer's file is not judged."""
    found = package.stat(BOOTSTRAP)
    if found is None or found.kind is FileKind.DIRECTORY:
        yield MISSING
    elif found.kind is FileKind.FILE and not found.mode & OTHERS_EXECUTE:
        yield NOT_EXECUTABLE
