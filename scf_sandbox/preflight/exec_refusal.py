"""Why the kernel refused to execute ``./bootstrap``: from its errno and the package, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scf_sandbox.preflight.base import CENTOS_7
from scf_sandbox.preflight.bootstrap import BOOTSTRAP, missing_bootstrap
from scf_sandbox.preflight.elf import MAGIC, X86_64, read_elf
from scf_sandbox.preflight.files import InstanceFiles, shown
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.interpreter import absent, denied, executed
from scf_sandbox.preflight.kinds import LINE_BYTES, UTF8_MARK, foreign_kind
from scf_sandbox.preflight.refusal import (
    E2BIG,
    EACCES,
    ELIBBAD,
    ELOOP,
    ENOENT,
    ENOEXEC,
    ENOTDIR,
    EPERM,
    refused,
    words,
)
from scf_sandbox.preflight.view import FileKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scf_sandbox.preflight.base import BaseImage
    from scf_sandbox.preflight.view import PackageView

#: The stage at which the package decides; before it, only the machine does.
EXEC = "exec"


def explain_exec(
    package: PackageView,
    errno: int,
    stage: str,
    layers: Sequence[PackageView] = (),
    base: BaseImage = CENTOS_7,
) -> Finding:
    """Say why ``./bootstrap`` was not executed, and what to do.

    ``errno`` is Linux's. ``stage`` is ``fork``, ``setup`` or ``exec``: how far it came. ``layers``
    are in the order in which they are bound. Reads only first bytes and ELF headers. Raises only
    what the views raise.
    """
    if stage != EXEC:
        return Finding(
            Level.ERROR,
            BOOTSTRAP,
            None,
            "start-refused",
            f"the system did not let ./bootstrap be started ({words(errno)}, at {shown(stage)})",
            "invoke again; if it stays, see what else the machine runs",
        )
    files = InstanceFiles(package, layers, base)
    found = files.find(BOOTSTRAP)
    if found is None or found.stat.kind is FileKind.DIRECTORY:
        return missing_bootstrap(package)
    if errno in (ENOENT, ENOTDIR, ELIBBAD):
        return absent(files, errno)
    if errno == ENOEXEC:
        return _foreign(files)
    if errno in (EACCES, EPERM):
        return denied(files, errno)
    if errno == E2BIG:
        return refused(
            "environment-too-large", errno, "its environment is too large", "set less of it"
        )
    if errno == ELOOP:
        return refused(
            "links-too-deep",
            errno,
            "its interpreter is a script of a script, or links go in a circle",
            "name a program in the first line of bootstrap",
        )
    return refused("exec-refused", errno, "the kernel says no more", "build bootstrap anew")


def _foreign(files: InstanceFiles) -> Finding:
    """It, or the interpreter that it names, is no program for this system."""
    found = executed(files)
    if found is None:
        return refused("exec-refused", ENOEXEC, "it is no program", "let it be one, or a script")
    path, place = found
    who = "it" if path == BOOTSTRAP else f"its interpreter {shown(path)}"
    head = place.part(0, LINE_BYTES)
    elf = read_elf(place.part)
    if elf is not None and elf.machine != X86_64:
        return refused(
            "wrong-machine",
            ENOEXEC,
            f"{who} is a program for {elf.machine_name}, and functions run on x86_64",
            "build it for Linux on x86_64 (GOARCH=amd64, --platform=linux/amd64, or the like)",
        )
    if head.startswith(MAGIC):
        return refused(
            "program-damaged", ENOEXEC, f"the ELF headers of {who} make no program", "build it anew"
        )
    if foreign := foreign_kind(head):
        return refused("wrong-system", ENOEXEC, f"{who} {foreign[0]}", foreign[1])
    return _no_program(head, who)


def _no_program(head: bytes, who: str) -> Finding:
    """Text, or nothing at all: a shell would run it, the kernel does not."""
    begin = "begin it with #!/bin/bash, or another interpreter"
    if not head:
        code, reason, fix = "bootstrap-empty", "is empty", begin
    elif head.startswith(UTF8_MARK):
        code, fix = "byte-order-mark", "save it in UTF-8 without BOM"
        reason = "has a byte-order mark (BOM) before its first line"
    elif head.startswith(b"#!"):
        code, fix = "first-line-unusable", begin
        reason = f"has a first line that names no interpreter within {LINE_BYTES} bytes"
    else:
        code, fix = "no-first-line", begin
        reason = "does not begin with #!, and no shell steps in for the kernel"
    return refused(code, ENOEXEC, f"{who} {reason}", fix, line=1)
