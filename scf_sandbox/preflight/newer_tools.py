"""Shell scripts that use what CentOS 7.6's bash, curl and GNU tools do not have yet.

The sandbox may run them in a stand-in whose tools are newer (``/healthz``), and so may their
author's machine: they work there, and fail in the cloud. A script is searched line by line, without
understanding it, so what is found is a warning. Versions are from the tools' own change logs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scf_sandbox.preflight.bootstrap import BOOTSTRAP
from scf_sandbox.preflight.files import shown
from scf_sandbox.preflight.finding import Finding, Level
from scf_sandbox.preflight.kinds import read_script
from scf_sandbox.preflight.newer_curl import CURL_OPTIONS
from scf_sandbox.preflight.view import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scf_sandbox.preflight.view import PackageView

#: So much of one script, of all scripts together, and of one line is looked at.
SCRIPT_BYTES = 256 * 1024
ALL_BYTES = 1024 * 1024
LINE_CHARS = 1000

_ENDINGS = (".sh", ".bash")
_SHELLS = ("bash", "sh")


class Feature(NamedTuple):
    """``name`` has come with version ``since`` of ``tool``, of which CentOS 7.6 has ``there``."""

    tool: str
    name: str
    since: str
    there: str
    seen: re.Pattern[str]


def _bash(name: str, since: str, seen: str) -> Feature:
    return Feature("bash", name, since, "4.2", re.compile(seen))


def _of(tool: str, there: str, since: str, option: str, more: str = "") -> Feature:
    """An option of a program, in the same simple command."""
    names = "|".join(map(re.escape, (option, *filter(None, more.split(" ")))))
    seen = rf"\b{tool}\s(?:[^|;&#]{{0,200}}\s)?(?:{names})(?=[\s=]|$)"
    return Feature(tool, option, since, there, re.compile(seen))


_SHOPTS = (
    "inherit_errexit|localvar_inherit|localvar_unset|assoc_expand_once|globskipdots"
    "|patsub_replacement|varredir_close|progcomp_alias"
)

FEATURES = (
    _bash(
        "declare -n", "4.3", r"\b(?:declare|local|typeset)\s+(?:-\w{1,9}\s+){0,4}-[a-zA-Z]{0,9}n"
    ),
    _bash("wait -n", "4.3", r"\bwait\s+-n\b"),
    _bash("array[-1]=", "4.3", r"^\s*\w{1,99}\[-\d{1,9}\]\+?="),
    _bash("-v array[index]", "4.3", r"\[\s+(?:!\s+)?-v\s+[\"']?\w{1,99}\["),
    _bash("${name@Q}", "4.4", r"\$\{\w{1,99}(?:\[[@*]\])?@[QEPAaUuLKk]\}"),
    _bash("mapfile -d", "4.4", r"\b(?:mapfile|readarray)\s+(?:-\w+\s+){0,4}-[a-zA-Z]{0,9}d"),
    _bash("local -", "4.4", r"\blocal\s+-(?:\s|;|$)"),
    _bash("shopt -s of newer options", "4.4", rf"\bshopt\s+-s\s[\w\s]{{0,200}}\b(?:{_SHOPTS})\b"),
    _bash("EPOCHSECONDS", "5.0", r"\$\{?EPOCH(?:SECONDS|REALTIME)\b"),
    _bash("SRANDOM", "5.1", r"\$\{?SRANDOM\b"),
    _of("env", "coreutils 8.22", "8.30", "-S", "--split-string"),
    _of("env", "coreutils 8.22", "8.28", "--chdir", "-C"),
    _of("cut", "coreutils 8.22", "8.25", "-z", "--zero-terminated"),
    _of("head", "coreutils 8.22", "8.25", "-z", "--zero-terminated"),
    _of("tail", "coreutils 8.22", "8.25", "-z", "--zero-terminated"),
    _of("timeout", "coreutils 8.22", "8.29", "--verbose", "-v"),
    _of("ls", "coreutils 8.22", "9.0", "--zero"),
    _of("find", "findutils 4.5.11", "4.9", "-files0-from"),
    _of("sed", "sed 4.2.2", "4.3", "--sandbox"),
    _of("sed", "sed 4.2.2", "4.6", "--debug"),
    _of("tar", "tar 1.26", "1.28", "--sort"),
    _of("tar", "tar 1.26", "1.28", "--one-top-level"),
    _of("tar", "tar 1.26", "1.31", "--zstd"),
    _of("gzip", "gzip 1.5", "1.6", "-k", "--keep"),
    _of("gunzip", "gzip 1.5", "1.6", "-k", "--keep"),
    _of("column", "util-linux 2.23", "2.30", "-J", "--json"),
)

_CURL = re.compile(r"\bcurl\s([^|;#]{1,900})")
_OPTION = re.compile(r"(?<!\S)(--[a-z0-9][a-z0-9.-]{1,40}|-Z)(?=[\s=]|$)")

#: Bash 4.2 takes an empty array for an unset name.
_NOUNSET = re.compile(r"\bset\s+(?:-\w{1,9}\s+){0,3}(?:-[a-zA-Z]{0,9}u|-[a-zA-Z]{0,9}o\s+nounset)")
_EMPTY = re.compile(r"(?:^|[\s;])(\w{1,99})=\(\s*\)")
_ALL_OF = re.compile(r"(?<![+-])\"\$\{(\w{1,99})\[[@*]\]\}\"")


def check_tools(package: PackageView) -> Iterator[Finding]:
    """``newer-bash``, ``newer-curl``, ``newer-tools`` and ``empty-array``: each use, once."""
    told: set[str] = set()
    for path, text in _scripts(package):
        for number, line in enumerate(_lines(text), 1):
            for code, name, reason, fix in _in_line(line):
                if name not in told:
                    told.add(name)
                    yield Finding(
                        Level.WARNING,
                        path,
                        number,
                        code,
                        f"{shown(path)} line {number} {reason}",
                        fix,
                    )
        yield from _empty_arrays(path, text)


def _scripts(package: PackageView) -> Iterator[tuple[str, str]]:
    """The shell scripts: ``bootstrap``, and what has an ending of theirs."""
    left = ALL_BYTES
    for path in (BOOTSTRAP, *(path for path in package.names() if path.endswith(_ENDINGS))):
        found = package.stat(path)
        if left <= 0 or found is None or found.kind is not FileKind.FILE:
            continue
        data = package.head(path, min(SCRIPT_BYTES, left))
        left -= len(data)
        script = read_script(data)
        words = f"{script.interpreter} {script.argument}".split() if script else []
        if any(word.rpartition("/")[2] in _SHELLS for word in words[:4]) or (
            script is None and path.endswith(_ENDINGS)
        ):
            yield path, data.decode("utf-8", "replace")


def _lines(text: str) -> Iterator[str]:
    """Each line, with those that go on it by a backslash, and without comments of its own line."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if at == 0:
            line = line.removeprefix("#!")
        if line.lstrip().startswith("#") or (at and lines[at - 1].endswith("\\")):
            yield ""
            continue
        whole = line
        for more in lines[at + 1 : at + 40]:
            if not whole.endswith("\\") or len(whole) > LINE_CHARS:
                break
            whole = f"{whole[:-1]} {more.strip()}"
        yield whole[:LINE_CHARS]


def _in_line(line: str) -> Iterator[tuple[str, str, str, str]]:
    """Code, name, reason and fix of what one line uses."""
    if not line or line.isspace():
        return
    for feature in FEATURES:
        if feature.seen.search(line):
            ours = feature.tool == "bash"
            name = feature.name if ours else f"{feature.tool} {feature.name}"
            since = f"bash has since {feature.since}" if ours else f"came with {feature.since}"
            there = f"bash {feature.there}" if ours else feature.there
            yield (
                "newer-bash" if ours else "newer-tools",
                name,
                f"uses {name}, which {since}: CentOS 7.6 has {there}, so it fails in the cloud",
                f"write it for {there}, or bring the newer program in the package",
            )
    for call in _CURL.finditer(line):
        for option in _OPTION.findall(call[1]):
            if option in CURL_OPTIONS:
                yield (
                    "newer-curl",
                    f"curl {option}",
                    f"uses curl {option}, which came with {CURL_OPTIONS[option]}: CentOS 7.6"
                    " has curl 7.29, so it fails in the cloud",
                    "do without it, or bring a newer curl in the package",
                )


def _empty_arrays(path: str, text: str) -> Iterator[Finding]:
    """The first array that is made empty and expanded under ``set -u``."""
    if not _NOUNSET.search(text[:SCRIPT_BYTES]):
        return
    empty: set[str] = set()
    for number, line in enumerate(_lines(text), 1):
        empty.update(_EMPTY.findall(line))
        name = next((name for name in _ALL_OF.findall(line) if name in empty), "")
        if name:
            yield Finding(
                Level.WARNING,
                path,
                number,
                "empty-array",
                f'{shown(path)} line {number} uses "${{{name}[@]}}" under set -u: while it is'
                " empty, bash 4.2 of CentOS 7.6 ends with unbound variable, and newer ones do not",
                f'write ${{{name}[@]+"${{{name}[@]}}"}}',
            )
            return
