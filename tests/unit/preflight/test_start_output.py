"""Why a bootstrap that was executed ended at once: what its output and its files tell."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scf_sandbox.preflight import explain_exit, may_tell
from tests.support.elf import elf
from tests.unit.preflight.test_exec_refusal import Files

if TYPE_CHECKING:
    from pathlib import Path

GLIBC = (
    "./bootstrap: /lib64/libc.so.6: version `GLIBC_2.32' not found (required by ./bootstrap)\n"
    "./bootstrap: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by ./bootstrap)\n"
)
CXX = (
    "node: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.20' not found (required by /opt/bin/node)\n"
    "node: /lib64/libstdc++.so.6: version `CXXABI_1.3.9' not found (required by /opt/bin/node)\n"
)


def test_the_highest_glibc_that_is_asked_for_is_named() -> None:
    package = Files({"bootstrap": elf(needs=("GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.9"))})
    found = explain_exit(package, 1, GLIBC)
    assert found is not None
    assert found.code == "libraries-too-new"
    assert found.reason == "bootstrap needs GLIBC_2.34, and CentOS 7.6 has glibc 2.17"
    assert "build it on CentOS 7" in found.fix


def test_without_the_file_the_output_has_the_versions() -> None:
    found = explain_exit(Files({}), 1, CXX + GLIBC)
    assert found is not None
    assert found.reason == (
        "node needs GLIBC_2.32 and GLIBCXX_3.4.20 and CXXABI_1.3.9, and CentOS 7.6 has glibc 2.17"
        " and GLIBCXX 3.4.19 and CXXABI 1.3.7"
    )


def test_a_library_that_is_nowhere_is_named() -> None:
    found = explain_exit(
        Files({"bootstrap": elf()}),
        127,
        "./bootstrap: error while loading shared libraries: libssl.so.10: cannot open shared object"
        " file: No such file or directory",
    )
    assert found is not None
    assert "libssl.so.10" in found.reason
    assert "LD_LIBRARY_PATH" in found.fix


def output_of(directory: Path, script: bytes) -> tuple[int, str]:
    path = directory / "bootstrap"
    path.write_bytes(script)
    path.chmod(0o755)
    done = subprocess.run(
        ["./bootstrap"], cwd=directory, executable="./bootstrap", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_program_that_env_does_not_find_is_named(tmp_path: Path) -> None:
    script = b"#!/usr/bin/env python4.7\n"
    code, output = output_of(tmp_path, script)
    found = explain_exit(Files({"bootstrap": script}), code, output)
    assert found is not None
    assert "interpreter python4.7" in found.reason
    layer = Files({"python/bin/python4.7": elf()})
    found = explain_exit(Files({"bootstrap": script}), code, output, [layer])
    assert found is not None
    assert "#!/opt/python/bin/python4.7" in found.fix


@pytest.mark.parametrize(
    "script",
    [
        b"#!/usr/bin/env bash\r\necho\r\n",
        b"#!/bin/bash\nfor x in a; do\r\necho $x\r\ndone\r\n",
        b"#!/bin/bash\ncd /\nlsx\r\n\r\nexit 127\n",
        b"#!/bin/bash -e\r\necho\r\n",
    ],
)
def test_line_ends_of_windows_are_told_from_the_output(script: bytes, tmp_path: Path) -> None:
    code, output = output_of(tmp_path, script)
    assert code != 0
    found = explain_exit(Files({"bootstrap": script}), code, output)
    assert found is not None
    assert found.code == "line-ends"


@pytest.mark.parametrize(
    ("code", "output"),
    [(0, GLIBC), (None, ""), (1, "Traceback (most recent call last):"), (127, "jq: not found")],
)
def test_other_ends_speak_for_themselves(code: int | None, output: str) -> None:
    assert explain_exit(Files({"bootstrap": b"#!/bin/bash\n"}), code, output) is None


def test_whether_the_package_can_tell_more_is_known_without_it() -> None:
    assert may_tell(1, GLIBC)
    assert may_tell(127, "")
    assert not may_tell(1, "Error")
    assert not may_tell(0, GLIBC)


pieces = st.sampled_from(
    ["version `GLIBC_2.34' not found (required by ", "./bootstrap)", "/opt/x)", "`GLIBC_..",
     "env: ", "'", "‘", "\r", "\n", "$'\\r'", ": No such file",
     "error while loading shared libraries: ",
     ": cannot open shared object file", "9" * 30, ".", "x" * 300]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=30).map("".join) | st.text(), st.sampled_from([1, 126, 127, 139]))
def test_whatever_is_written_the_answer_is_short_and_on_one_line(output: str, code: int) -> None:
    package = Files({"bootstrap": elf(needs=("GLIBC_2.34",))})
    found = explain_exit(package, code, output, [Files({"x": b"\x7fELF" + b"\xff" * 99})])
    if found is not None:
        assert found.message.isprintable()
        assert len(found.message) < 2000


def test_output_without_end_takes_no_time() -> None:
    for piece in ("env: ", "version `GLIBC_2.34' not found (required by ", "$'", "env: can't "):
        explain_exit(Files({"bootstrap": b"#!/bin/bash\n"}), 1, piece * 200_000)
