"""ELF files: what is read of good ones, and that hostile ones are harmless."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scf_sandbox.preflight.elf import REACH_BYTES, needed_versions, read_elf
from tests.support.elf import ARM64, elf, elf_32

if TYPE_CHECKING:
    from scf_sandbox.preflight.elf import Read

NEEDS = ("GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.17")


def reader(data: bytes) -> Read:
    def read(offset: int, size: int) -> bytes:
        assert 0 <= offset <= REACH_BYTES
        assert 0 < size <= REACH_BYTES
        return data[offset : offset + size]

    return read


def test_machine_loader_and_versions_are_read() -> None:
    read = reader(elf(loader="/lib64/ld-linux-x86-64.so.2", needs=NEEDS))
    found = read_elf(read)
    assert found is not None
    assert (found.bits, found.machine_name) == (64, "x86_64 (amd64)")
    assert found.loader == "/lib64/ld-linux-x86-64.so.2"
    assert needed_versions(read, found) == list(NEEDS)


@pytest.mark.parametrize(
    ("data", "machine", "bits", "loader"),
    [
        (elf(ARM64), "ARM64 (aarch64)", 64, ""),
        (elf_32(), "32-bit x86 (i386)", 32, "/lib/ld-linux.so.2"),
        (elf_32(8, "/lib/ld.so.1", ">"), "MIPS", 32, "/lib/ld.so.1"),
    ],
)
def test_other_machines_are_read_too(data: bytes, machine: str, bits: int, loader: str) -> None:
    found = read_elf(reader(data))
    assert found is not None
    assert (found.machine_name, found.bits, found.loader) == (machine, bits, loader)
    assert needed_versions(reader(data), found) == []


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF" + bytes(40), b"#!" + bytes(99)])
def test_what_is_cut_or_something_else_is_no_elf_file(data: bytes) -> None:
    assert read_elf(reader(data)) is None


@pytest.mark.skipif(shutil.which("readelf") is None, reason="nothing to compare with")
def test_a_real_program_is_read_as_readelf_reads_it() -> None:
    program = Path(sys.executable).resolve()
    read = reader(program.read_bytes())
    found = read_elf(read)
    assert found is not None
    told = subprocess.run(
        ["readelf", "--version-info", "--program-headers", "--wide", str(program)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    versions = needed_versions(read, found)
    assert versions
    assert set(versions) == {
        line.split("Name: ")[1].split()[0] for line in told.splitlines() if "Flags:" in line
        and "Name: " in line
    }  # fmt: skip
    assert f"interpreter: {found.loader}]" in told


GOOD = (elf(loader="/lib/ld", needs=NEEDS), elf_32(), elf_32(8, order=">"))


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(
            st.integers(0, 500), st.binary(max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8])
        ),
        max_size=6,
    ),
    st.integers(0, 600),
)
def test_a_damaged_file_is_read_or_not_and_nothing_else(
    data: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    raw = bytearray(data)
    for at, value in changes:
        raw[at : at + len(value)] = value
    hostile = bytes(raw[: max(64, len(raw) - cut)])
    asked = 0

    def read(offset: int, size: int) -> bytes:
        nonlocal asked
        asked += 1
        return reader(hostile)(offset, size)

    found = read_elf(read)
    if found is not None:
        assert len(found.loader) < 5000
        assert len(needed_versions(read, found)) <= 1024
    assert asked <= 6
