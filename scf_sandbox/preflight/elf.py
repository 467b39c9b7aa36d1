"""Reads of an ELF file what decides whether it starts: machine, loader, symbol versions.

The file is someone else's data. Offsets, sizes and counts are not believed: reads are short, loops
are counted, and what does not fit is taken as absent. So nothing here raises, or takes long.
Field layouts: System V ABI, "Object Files"; symbol versions: Linux Standard Base Core, 10.7.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Gives ``size`` bytes of the file from ``offset`` on; fewer where it ends.
    Read = Callable[[int, int], bytes]

MAGIC = b"\x7fELF"
HEADER_BYTES = 64

X86_64 = 62
#: Machines that functions are built for by mistake, as people call them (ELF's ``e_machine``).
MACHINES = {
    3: "32-bit x86 (i386)",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC (ppc64)",
    22: "s390x",
    40: "32-bit ARM",
    62: "x86_64 (amd64)",
    183: "ARM64 (aarch64)",
    243: "RISC-V",
    258: "LoongArch",
}

#: Nothing behind this offset is read: a zip must be decompressed up to it.
REACH_BYTES = 64 * 1024 * 1024
MAX_PROGRAM_HEADERS = 64
MAX_PATH_BYTES = 4096
MAX_DYNAMIC_BYTES = 16 * 1024
MAX_NEEDS_BYTES = 64 * 1024
MAX_NEEDS = 1024
MAX_STRINGS_BYTES = 8 * 1024 * 1024
MAX_VERSION_BYTES = 64

_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_STRTAB, _STRSZ, _VERNEED = 5, 10, 0x6FFFFFFE


class Segment(NamedTuple):
    """A program header: what lies at ``offset`` in the file, and at ``address`` in memory."""

    kind: int
    offset: int
    address: int
    size: int


class Elf(NamedTuple):
    """The start of an ELF file. ``loader`` is the path of its program interpreter, or empty."""

    bits: int
    little: bool
    machine: int
    segments: tuple[Segment, ...]
    loader: str

    @property
    def machine_name(self) -> str:
        """The machine in words."""
        return MACHINES.get(self.machine, f"machine {self.machine}")


def read_elf(read: Read) -> Elf | None:
    """The headers of an ELF file; None when it is no such file, or cut within its header."""
    head = read(0, HEADER_BYTES)
    if not head.startswith(MAGIC) or len(head) < 52:
        return None
    wide, little = head[4] == 2, head[5] != 2
    order = "<" if little else ">"
    if wide and len(head) < HEADER_BYTES:
        return None
    (machine,) = struct.unpack_from(f"{order}H", head, 18)
    offset, size, count = _program_headers(head, order, wide)
    table = _within(read, offset, size * min(count, MAX_PROGRAM_HEADERS))
    segments = tuple(_segments(table, order, wide, size))
    return Elf(64 if wide else 32, little, machine, segments, _loader(read, segments))


def needed_versions(read: Read, elf: Elf) -> list[str]:
    """The symbol versions that it needs of its libraries, for example ``GLIBC_2.34``.

    Of 64-bit little-endian files only; no others start. Empty also when they cannot be found.
    """
    dynamic = next((s for s in elf.segments if s.kind == _DYNAMIC), None)
    if dynamic is None or elf.bits != 64 or not elf.little:
        return []
    data = _within(read, dynamic.offset, min(dynamic.size, MAX_DYNAMIC_BYTES))
    tags = dict(struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]))
    needs = _offset(elf, tags.get(_VERNEED))
    strings = _offset(elf, tags.get(_STRTAB))
    if needs is None or strings is None:
        return []
    table = _within(read, needs, MAX_NEEDS_BYTES)
    names = _within(read, strings, min(tags.get(_STRSZ, 0), MAX_STRINGS_BYTES))
    texts = (_text(names, at, MAX_VERSION_BYTES) for at in _version_names(table))
    return list(dict.fromkeys(text for text in texts if text))


def _program_headers(head: bytes, order: str, wide: bool) -> tuple[int, int, int]:
    """Offset of the program headers, size of each, and their number."""
    if wide:
        (offset,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
    else:
        (offset,) = struct.unpack_from(f"{order}I", head, 28)
        size, count = struct.unpack_from(f"{order}HH", head, 42)
    return offset, size, count


def _segments(table: bytes, order: str, wide: bool, size: int) -> Iterator[Segment]:
    layout = struct.Struct(f"{order}IIQQQQ" if wide else f"{order}IIIII")
    if size < layout.size:
        return
    for at in range(0, len(table) - layout.size + 1, size):
        if wide:
            kind, _, offset, address, _, length = layout.unpack_from(table, at)
        else:
            kind, offset, address, _, length = layout.unpack_from(table, at)
        yield Segment(kind, offset, address, length)


def _loader(read: Read, segments: tuple[Segment, ...]) -> str:
    found = next((s for s in segments if s.kind == _INTERP), None)
    if found is None:
        return ""
    return _text(_within(read, found.offset, min(found.size, MAX_PATH_BYTES)), 0, MAX_PATH_BYTES)


def _offset(elf: Elf, address: int | None) -> int | None:
    """Where in the file the byte is that is loaded to ``address``."""
    if address is None:
        return None
    for segment in elf.segments:
        if segment.kind == _LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    return None


def _version_names(table: bytes) -> Iterator[int]:
    """Offsets of version names in the string table: a list of libraries, each with a list."""
    left, at = MAX_NEEDS, 0
    while left > 0 and at + 16 <= len(table):
        _, count, _, first, following = struct.unpack_from("<HHIII", table, at)
        inner = at + first
        for _ in range(min(count, left)):
            left -= 1
            if inner + 16 > len(table):
                break
            _, _, _, name, step = struct.unpack_from("<IHHII", table, inner)
            yield name
            inner += step
        if not following:
            return
        left -= 1
        at += following


def _text(data: bytes, at: int, limit: int) -> str:
    """The string that ends with a NUL at ``at``; empty when there is none."""
    end = data.find(b"\0", at, at + limit) if at < len(data) else -1
    return data[at:end].decode("utf-8", "replace") if end >= 0 else ""


def _within(read: Read, offset: int, size: int) -> bytes:
    return read(offset, size) if size > 0 and offset + size <= REACH_BYTES else b""
