"""What keeps a bootstrap from starting: the kernel's errno, with the bytes of real packages."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_protocol import Stage as Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.init.init_kit import Stage


def elf(machine: int, loader: bytes = b"") -> bytes:
    """The beginning of a program for a machine; with ``loader`` one that names it."""
    headers = 1 if loader else 0
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, 0x401000, 64, 0, 0, 64, 56, headers, 0, 0, 0
    )
    if not loader:
        return head
    at = 64 + 56
    size = len(loader) + 1
    return head + struct.pack("<IIQQQQQQ", 3, 4, at, at, at, size, size, 1) + loader + b"\0"


X86_64, S390 = 62, 22


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        (b"#!/bin/sh\r\necho hi\r\n", 0o755, errno.ENOENT),
        (b"#!/no/such/interpreter\n", 0o755, errno.ENOENT),
        (b"echo hi\n", 0o755, errno.ENOEXEC),
        (b"\xef\xbb\xbf#!/bin/sh\necho hi\n", 0o755, errno.ENOEXEC),
        (b"", 0o755, errno.ENOEXEC),
        (b"MZ" + bytes(200), 0o755, errno.ENOEXEC),
        (b"\xcf\xfa\xed\xfe" + bytes(200), 0o755, errno.ENOEXEC),
        (elf(S390), 0o755, errno.ENOEXEC),
        (elf(X86_64, b"/lib/ld-none.so.1"), 0o755, errno.ENOENT),
        (b"#!/bin/sh\necho hi\n", 0o644, errno.EACCES),
        (b"#!/\n", 0o755, errno.EACCES),
    ],
    ids=[
        "windows line ends",
        "missing interpreter",
        "no interpreter line",
        "byte order mark",
        "empty",
        "Windows program",
        "macOS program",
        "another machine",
        "missing loader",
        "not executable",
        "interpreter is a directory",
    ],
)
async def test_exec_fails_with_the_kernels_errno(
    stage: Stage, content: bytes, mode: int, expected: int
) -> None:
    stage.write(content, mode)
    instance = await stage.start()

    failure, end = await instance.fail()

    assert failure == (expected, Step.EXEC)
    assert end.code == (127 if expected == errno.ENOENT else 126)
    assert await instance.code() == end.code
    assert not instance.peer.output


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, errno.ENOENT),
        (lambda path: path.mkdir(), errno.EACCES),
        (lambda path: path.symlink_to("nowhere"), errno.ENOENT),
        (lambda path: path.symlink_to(path), errno.ELOOP),
    ],
    ids=["absent", "directory", "dangling link", "endless link"],
)
async def test_something_else_lies_there(
    stage: Stage, make: Callable[[Path], None], expected: int
) -> None:
    make(stage.directory / "bootstrap")
    instance = await stage.start()

    failure, _ = await instance.fail()

    assert failure == (expected, Step.EXEC)


async def test_a_flush_before_and_after_a_failure_is_answered(stage: Stage) -> None:
    stage.write(b"", 0o755)
    instance = await stage.start()
    connection = instance.peer.connection
    await instance.peer.flush()
    instance.peer.send(connection.go() + connection.flush())

    await instance.ended()

    assert await instance.code() == 126
