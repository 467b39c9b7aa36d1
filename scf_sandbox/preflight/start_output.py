"""Why a bootstrap that was executed ended at once: from its exit code and its last output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scf_sandbox.preflight.base import CENTOS_7
from scf_sandbox.preflight.bootstrap import BOOTSTRAP
from scf_sandbox.preflight.elf import needed_versions, read_elf
from scf_sandbox.preflight.files import InstanceFiles, below, shown
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.kinds import LINE_BYTES, read_script
from scf_sandbox.preflight.refusal import LINE_ENDS_FIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scf_sandbox.preflight.base import BaseImage
    from scf_sandbox.preflight.kinds import Script
    from scf_sandbox.preflight.view import PackageView

#: So much of the end of the output is looked at.
OUTPUT_CHARS = 16 * 1024

#: What the dynamic loader says of glibc 2.17, and env of any coreutils.
_VERSION = re.compile(
    r"version [`'‘]([A-Z]{3,8}_[0-9.]{1,24})['’] not found \(required by ([^)\n]{1,1024})\)"
)
_LIBRARY = re.compile(
    r"error while loading shared libraries: ([^:\s]{1,255}): cannot open shared object file"
)
_ENV = re.compile(
    r"env: (?:can't execute )?[`'‘\"]?([^'’\"\r\n:]{1,255}?)(\r|\\r)?['’\"]?: No such file"
)
#: A shell's, of a word that ends with CR: it shows the CR as an escape.
_CR_WORD = re.compile(r"\$'[^'\n]{0,255}\\r'")
#: Bash's, of the CR behind the options of the first line.
_CR_OPTION = re.compile(r": invalid option")
#: Exit codes with which a shell or env says that it found, or could execute, nothing.
_NOT_RUN = (126, 127)

_OLDER = (
    "build it on CentOS 7 (or with zig cc -target x86_64-linux-gnu.2.17), link it statically, or"
    " take an older release"
)


def may_tell(code: int | None, output: str) -> bool:
    """Whether ``explain_exit`` can know more than the output. Cheap: the package is not asked."""
    tail = output[-OUTPUT_CHARS:]
    if code in (None, 0):
        return False
    return code in _NOT_RUN or any(
        said.search(tail) for said in (_VERSION, _LIBRARY, _ENV, _CR_WORD, _CR_OPTION)
    )


def explain_exit(
    package: PackageView,
    code: int | None,
    output: str,
    layers: Sequence[PackageView] = (),
    base: BaseImage = CENTOS_7,
) -> Finding | None:
    """Say why a bootstrap ended before it was ready; None where the output says all there is.

    ``code`` is its exit code, ``output`` the last of what it wrote.
    """
    if not may_tell(code, output):
        return None
    tail = output[-OUTPUT_CHARS:]
    files = InstanceFiles(package, layers, base)
    if said := _VERSION.findall(tail):
        return _too_new(files, said)
    if library := _LIBRARY.search(tail):
        return _finding(
            "library-missing",
            f"the library {shown(library[1])} is in none of package, layers and {base.name}",
            "bring it in the package or a layer, and name its directory in LD_LIBRARY_PATH",
        )
    script = _script(files)
    env = _ENV.search(tail)
    if (
        _CR_WORD.search(tail)
        or (env and env[2])
        or (script is not None and "\r" in "".join(script))
    ):
        return _finding(
            "line-ends",
            "the lines of bootstrap end with CR LF (CRLF, as on Windows)",
            LINE_ENDS_FIX,
            line=1,
        )
    if env and script is not None and script.interpreter.endswith("/env"):
        return _not_in_path(files, env[1])
    return None


def _script(files: InstanceFiles) -> Script | None:
    place = files.find(BOOTSTRAP)
    return read_script(place.part(0, LINE_BYTES)) if place and place.readable else None


def _not_in_path(files: InstanceFiles, name: str) -> Finding:
    other = next(files.named(name.rpartition("/")[2]), "")
    fix = (
        f"begin bootstrap with #!{shown(other)}, which this function has"
        if other
        else "bring it in the package or a layer, and name its place in the first line"
    )
    return _finding(
        "interpreter-missing",
        f"the interpreter {shown(name)}, which env looks for, is in no directory of PATH",
        fix,
        line=1,
    )


def _too_new(files: InstanceFiles, said: Iterable[tuple[str, str]]) -> Finding:
    """The highest versions asked for, by the output and by the files that it names."""
    asked: dict[str, str] = {}
    by = ""
    for version, path in said:
        by = by or path
        _keep_highest(asked, version)
    place = files.find(by)
    if place is not None and place.readable and (elf := read_elf(place.part)):
        for version in needed_versions(place.part, elf):
            _keep_highest(asked, version)
    ceilings = files.base.ceilings
    above = {
        family: number
        for family, number in asked.items()
        if family in ceilings and _order(number) > _order(ceilings[family])
    }
    order = [family for family in ceilings if family in above]
    wanted = " and ".join(f"{family}_{above[family]}" for family in order)
    there = " and ".join(f"{family} {ceilings[family]}" for family in order)
    name = by.rpartition("/")[2] or BOOTSTRAP
    if not above:  # the base image is not what its facts say
        wanted, there = shown(", ".join(f"{f}_{n}" for f, n in asked.items())), "older ones"
    return _finding(
        "libraries-too-new",
        f"{shown(name)} needs {wanted}, and {files.base.name} has {_glibc(there)}",
        _OLDER,
        file=below(by, "/var/user") or BOOTSTRAP,
    )


def _glibc(text: str) -> str:
    return text.replace("GLIBC ", "glibc ")


def _keep_highest(asked: dict[str, str], version: str) -> None:
    family, _, number = version.partition("_")
    if _order(number) >= _order(asked.get(family, "")):
        asked[family] = number


def _order(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split(".") if part.isascii() and part.isdigit())


def _finding(
    code: str, reason: str, fix: str, *, line: int | None = None, file: str = BOOTSTRAP
) -> Finding:
    return Finding(Level.ERROR, file, line, code, reason, fix)
