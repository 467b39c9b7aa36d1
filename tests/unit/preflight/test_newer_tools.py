"""Shell scripts that use what CentOS 7.6's tools have not yet: named by file and line, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.packages.package import inspect as inspect_zip
from scf_sandbox.preflight import Level
from tests.support.zips import Item, file, make_zip

if TYPE_CHECKING:
    from scf_sandbox.preflight.finding import Finding


def warnings(*items: Item) -> tuple[Finding, ...]:
    return inspect_zip(make_zip(*items)).ref.findings


def found(script: str, first: str = "#!/bin/bash") -> list[tuple[str, int | None]]:
    """Codes and lines of what is found in a bootstrap with this script."""
    data = f"{first}\n{script}\n".encode()
    return [(each.code, each.line) for each in warnings(file("bootstrap", data, 0o755))]


@pytest.mark.parametrize(
    "script",
    [
        "declare -n ref=name",
        "f() { local -rn ref=$1; }",
        "wait -n",
        "list[-1]=x",
        "[[ -v map[key] ]] || echo no",
        'echo "${name@Q}"',
        'echo "${list[@]@Q}"',
        "mapfile -t -d '' files < <(find . -print0)",
        "readarray -td, parts <<<a,b",
        "shopt -s nullglob inherit_errexit",
        "f() { local -; set +e; }",
        "echo $EPOCHSECONDS ${EPOCHREALTIME}",
        "id=$SRANDOM",
    ],
)
def test_what_only_newer_bash_has_is_found(script: str) -> None:
    assert found(script) == [("newer-bash", 2)]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("curl --json '{}' $URL", "newer-curl"),
        ("curl -sS --fail-with-body $URL", "newer-curl"),
        ("curl -s \\\n  --retry-all-errors \\\n  $URL", "newer-curl"),
        ("x=$(curl -Z $A $B)", "newer-curl"),
        ("curl --unix-socket /tmp/s http://x/", "newer-curl"),
        ("tar --sort=name -cf a.tar .", "newer-tools"),
        ("gzip -k file", "newer-tools"),
        ("cut -d , -f 1 -z", "newer-tools"),
        ("env -C /tmp pwd", "newer-tools"),
        ("find -files0-from list", "newer-tools"),
    ],
)
def test_options_that_came_later_are_found(script: str, code: str) -> None:
    assert found(script) == [(code, 2)]


@pytest.mark.parametrize(
    "script",
    [
        "# wait -n is for newer ones",
        "  # curl --json",
        "wait $pid; echo -n x",
        "declare -A map; local -r name=1; declare -i n",
        'last=${list[-1]}; echo "${name@}"',
        "mapfile -t dirs <file",
        "curl -sS -X POST -d @file --retry 3 --max-time 5 --tlsv1.2 $URL",
        "curl -s $URL | jq --json",
        "./tool --json; gzip -c file; tar -czf a.tgz .; cut -d, -f2; head -n 1",
        'set -euo pipefail; list=(a b); echo "${list[@]}"',
        'list=(); for each in "${list[@]}"; do :; done',
    ],
)
def test_what_centos_has_is_not_named(script: str) -> None:
    assert found(script) == []


def test_an_empty_array_under_set_u_is_found() -> None:
    script = 'set -euo pipefail\noptions=()\ncurl "${options[@]}" $URL\necho "${options[@]}"'
    assert found(script) == [("empty-array", 4)]
    assert found('set -u\nlist=()\necho ${list[@]+"${list[@]}"}') == []


def test_the_first_line_counts_too() -> None:
    assert found("echo", "#!/usr/bin/env -S bash -e") == [("newer-tools", 1)]


def test_each_use_is_told_once_with_where_it_is_and_what_to_do() -> None:
    told = warnings(
        file("bootstrap", b"#!/bin/sh\nwait -n\nwait -n\n", 0o755),
        file("lib/more.sh", b"wait -n\ncurl --json x y\n"),
    )
    assert [(each.file, each.line, each.code) for each in told] == [
        ("bootstrap", 2, "newer-bash"),
        ("lib/more.sh", 2, "newer-curl"),
    ]
    assert told[0].level is Level.WARNING
    assert told[0].message == (
        "bootstrap line 2 uses wait -n, which bash has since 4.3: CentOS 7.6 has bash 4.2, so it"
        " fails in the cloud; write it for bash 4.2, or bring the newer program in the package"
    )


def test_only_shell_scripts_are_looked_at() -> None:
    text = b"wait -n\n"
    assert found("wait -n", "#!/usr/bin/env python3") == []
    assert warnings(file("bootstrap", b"#!/bin/bash\n", 0o755), file("notes.md", text)) == ()
    assert [
        each.file
        for each in warnings(
            file("bootstrap", b"#!/bin/bash\n", 0o755),
            file("a.sh", b"#!/usr/bin/python3\n" + text),
            file("b.bash", b"#!/usr/bin/env bash\n" + text),
        )
    ] == ["b.bash"]


@pytest.mark.parametrize(
    "line",
    ["mapfile -a ", "curl --a ", "shopt -s a ", "declare -a ", "[ " * 4, "${a[@]}", "tar a ", "\\"],
)
async def test_a_script_made_to_be_slow_is_looked_at_quickly(line: str) -> None:
    text = b"#!/bin/bash\n" + (line * (1_000_000 // len(line))).encode()
    scripts = [file(f"{number}.sh", text) for number in range(4)]
    lines = [file(f"l{number}.sh", text.replace(b" ", b"\n")) for number in range(4)]
    began = asyncio.get_running_loop().time()
    warnings(file("bootstrap", text, 0o755), *scripts, *lines)
    assert asyncio.get_running_loop().time() - began < 15.0  # a second or less where it is calm
