"""The check of a package before it is run: a package in, findings out.

Pure and without I/O of its own, so that it says the same on a user's machine and in the server.
A new check is a function in a module of its own, listed in ``inspect.CHECKS``. ``explain_exec`` and
``explain_exit`` say of a bootstrap that did not start why that was.
"""

from scf_sandbox.preflight.base import CENTOS_7, BaseImage
from scf_sandbox.preflight.bootstrap import RELOAD_FAILURES
from scf_sandbox.preflight.exec_refusal import explain_exec
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.inspect import inspect
from scf_sandbox.preflight.start_output import explain_exit, may_tell
from scf_sandbox.preflight.view import FileKind, FileStat, PackageView

__all__ = [
    "CENTOS_7",
    "RELOAD_FAILURES",
    "BaseImage",
    "FileKind",
    "FileStat",
    "Finding",
    "Level",
    "PackageView",
    "explain_exec",
    "explain_exit",
    "inspect",
    "may_tell",
]
