"""The check of a package before it is run: a package in, findings out.

Pure and without I/O of its own, so that it says the same on a user's machine and in the server.
A new check is a function in a module of its own, listed in ``inspect.CHECKS``.
"""

from scf_sandbox.preflight.bootstrap import RELOAD_FAILURES
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.inspect import inspect
from scf_sandbox.preflight.view import FileKind, FileStat, PackageView

__all__ = [
    "RELOAD_FAILURES",
    "FileKind",
    "FileStat",
    "Finding",
    "Level",
    "PackageView",
    "inspect",
]
