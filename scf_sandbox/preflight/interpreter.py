"""Follows bootstrap to its interpreter, and that to its loader: what of them cannot start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scf_sandbox.preflight.bootstrap import BOOTSTRAP, NOT_EXECUTABLE, OTHERS_EXECUTE
from scf_sandbox.preflight.elf import read_elf
from scf_sandbox.preflight.files import CODE_ROOT, absolute, below, shown
from scf_sandbox.preflight.kinds import LINE_BYTES, read_script
from scf_sandbox.preflight.refusal import LINE_ENDS_FIX, refused
from scf_sandbox.preflight.view import FileKind

if TYPE_CHECKING:
    from scf_sandbox.preflight.files import InstanceFiles, Place
    from scf_sandbox.preflight.finding import Finding

#: An interpreter may be a script itself; the kernel follows no more of them.
MAX_SCRIPTS = 5

#: Paths of loaders that CentOS does not have: what was linked against them, and what to do.
_STATIC = "link it statically (CGO_ENABLED=0 for Go, a musl target with crt-static for Rust)"
_LOADERS = (
    ("/lib/ld-musl-", "it was built on musl (Alpine)", f"build it on CentOS 7, or {_STATIC}"),
    (
        "/nix/store/",
        "it was built on NixOS",
        "set the loader to /lib64/ld-linux-x86-64.so.2 (patchelf --set-interpreter), or build it"
        " elsewhere",
    ),
    (
        "/gnu/store/",
        "it was built on Guix",
        "set the loader to /lib64/ld-linux-x86-64.so.2 (patchelf --set-interpreter), or build it"
        " elsewhere",
    ),
    ("/lib/ld-linux.so.2", "it is a 32-bit program", "build it for x86_64, 64 bits"),
    ("/system/bin/linker", "it was built for Android", "build it for Linux on x86_64"),
    ("/libexec/ld-elf", "it was built for FreeBSD", "build it for Linux on x86_64"),
)


def executed(files: InstanceFiles) -> tuple[str, Place] | None:
    """The program that the kernel executes at last, and its path as it was named; None when it is
    not there, or no more of it is known."""
    path = BOOTSTRAP
    for _ in range(MAX_SCRIPTS):
        place = files.find(path)
        if place is None or not place.readable:
            return None
        script = read_script(place.part(0, LINE_BYTES))
        if script is None:
            return path, place
        path = script.interpreter
    return None


def denied(files: InstanceFiles, errno: int) -> Finding:
    """Why something on the way from bootstrap to its loader may not be executed."""
    path, by = BOOTSTRAP, BOOTSTRAP
    place = files.find(path)
    for _ in range(MAX_SCRIPTS):
        if place is None or place.stat.kind is FileKind.LAYER:
            break
        if place.stat.kind is FileKind.DIRECTORY:
            return _named_wrongly(path, by, errno, "is a directory")
        if not place.stat.mode & OTHERS_EXECUTE:
            if path == BOOTSTRAP:
                return NOT_EXECUTABLE
            return _named_wrongly(path, by, errno, "is not executable (chmod 755)")
        script = read_script(place.part(0, LINE_BYTES))
        if script is None:
            break
        by, path = path, script.interpreter
        place = files.find(path)
    return refused(
        "exec-denied",
        errno,
        "it may not be executed where it lies: its directory or an interpreter is closed to others,"
        " or mounted noexec",
        "chmod 755 the directories of the package, and let nothing to be executed lie in /tmp",
    )


def absent(files: InstanceFiles, errno: int) -> Finding:
    """What is missing of bootstrap, its interpreter and its loader."""
    path, by = BOOTSTRAP, BOOTSTRAP
    for _ in range(MAX_SCRIPTS):
        place = files.find(path)
        if place is None:
            return _missing(files, path, by, errno)
        if place.stat.kind is FileKind.DIRECTORY:
            return _named_wrongly(path, by, errno, "is a directory")
        if not place.readable:
            break
        script = read_script(place.part(0, LINE_BYTES))
        if script is None:
            return _loader_missing(files, place, path, errno)
        if script.interpreter.endswith("\r"):
            return _line_ends(path, script.interpreter, errno)
        by, path = path, script.interpreter
    return refused(
        "file-missing",
        errno,
        f"{shown(path)}, which it needs, is not there or lacks what it needs itself",
        "bind the layer that has it, or bring it in the package",
    )


def _line_ends(path: str, interpreter: str, errno: int) -> Finding:
    return refused(
        "line-ends",
        errno,
        f"the first line of {_called(path)} ends with CR LF (CRLF, as on Windows), so it looks for"
        f' an interpreter named "{shown(interpreter)}"',
        LINE_ENDS_FIX,
        line=1,
        file=_file(path),
    )


def _missing(files: InstanceFiles, path: str, by: str, errno: int) -> Finding:
    """The interpreter ``path``, which the first line of ``by`` names, is nowhere."""
    name = path.rpartition("/")[2]
    other = next((found for found in files.named(name) if found != absolute(path)), "")
    fix = (
        f"name {shown(other)} there, which this function has"
        if other
        else "bring it in the package or a layer, and name its place there"
    )
    return refused(
        "interpreter-missing",
        errno,
        f"the interpreter {shown(path)} in the first line of {_called(by)} is in none of package,"
        f" layers and {files.base.where(absolute(path))}",
        fix,
        line=1,
        file=_file(by),
    )


def _loader_missing(files: InstanceFiles, place: Place, path: str, errno: int) -> Finding:
    elf = read_elf(place.part)
    loader = elf.loader if elf else ""
    if loader and files.find(loader) is None:
        cause, fix = next(
            ((cause, fix) for start, cause, fix in _LOADERS if loader.startswith(start)),
            ("it was linked for another system", f"build it on CentOS 7, or {_STATIC}"),
        )
        return refused(
            "loader-missing",
            errno,
            f"{_called(path)} needs the loader {shown(loader)}, which {files.base.name} lacks:"
            f" {cause}",
            fix,
            file=_file(path),
        )
    return refused(
        "file-missing",
        errno,
        f"{_called(path)}, or what it needs to start, is not there",
        "bind the layer that has it, or bring it in the package",
        file=_file(path),
    )


def _named_wrongly(path: str, by: str, errno: int, what: str) -> Finding:
    return refused(
        "interpreter-unusable",
        errno,
        f"{shown(path)}, the interpreter in the first line of {_called(by)}, {what}",
        "name a program there, with its whole path",
        line=1,
        file=_file(by),
    )


def _called(path: str) -> str:
    return BOOTSTRAP if path == BOOTSTRAP else shown(path)


def _file(path: str) -> str:
    """Relative to the package's root, where it lies below it."""
    whole = absolute(path)
    return below(whole, CODE_ROOT) or whole
