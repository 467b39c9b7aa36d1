"""Makes ELF files, with only the parts that the kernel and the dynamic loader read."""

from __future__ import annotations

import struct

X86_64, I386, ARM64 = 62, 3, 183
BASE = 0x400000


def elf(machine: int = X86_64, loader: str = "", needs: tuple[str, ...] = ()) -> bytes:
    """A 64-bit program with this loader that needs these versions of ``libc.so.6``."""
    count = 1 + bool(loader) + bool(needs)
    body = 64 + 56 * count
    interp = loader.encode() + b"\0" if loader else b""
    names = b"\0libc.so.6\0" + b"".join(need.encode() + b"\0" for need in needs)
    strings = body + len(interp)
    versions = -(-(strings + len(names)) // 8) * 8
    table = _needs(needs, names)
    dynamic = -(-(versions + len(table)) // 8) * 8
    tags = struct.pack(
        "<10Q",
        5, BASE + strings, 10, len(names), 0x6FFFFFFE, BASE + versions, 0x6FFFFFFF, 1, 0, 0,
    )  # fmt: skip
    size = dynamic + len(tags)
    heads = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 4096)
    if loader:
        at = BASE + body
        heads = struct.pack("<IIQQQQQQ", 3, 4, body, at, at, len(interp), len(interp), 1) + heads
    if needs:
        at = BASE + dynamic
        heads += struct.pack("<IIQQQQQQ", 2, 6, dynamic, at, at, len(tags), len(tags), 8)
    start = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\2\1\1", 2, machine, 1, BASE + body, 64, 0, 0, 64, 56, count, 64, 0, 0,
    )  # fmt: skip
    data = (start + heads + interp + names).ljust(versions, b"\0") + table
    return data.ljust(dynamic, b"\0") + tags


def elf_32(machine: int = I386, loader: str = "/lib/ld-linux.so.2", order: str = "<") -> bytes:
    """A 32-bit program."""
    interp = loader.encode() + b"\0"
    body = 52 + 32
    head = struct.pack(f"{order}8I", 3, body, BASE, BASE, len(interp), len(interp), 4, 1)
    start = struct.pack(
        f"{order}16sHHIIIIIHHHHHH",
        b"\x7fELF\1" + (b"\1" if order == "<" else b"\2") + b"\1",
        2, machine, 1, BASE, 52, 0, 0, 52, 32, 1, 40, 0, 0,
    )  # fmt: skip
    return start + head + interp + bytes(64)


def _needs(needs: tuple[str, ...], names: bytes) -> bytes:
    table = struct.pack("<HHIII", 1, len(needs), 1, 16, 0)
    for rank, need in enumerate(needs):
        following = 16 if rank < len(needs) - 1 else 0
        table += struct.pack("<IHHII", 0, 0, 2, names.index(need.encode() + b"\0"), following)
    return table
