"""Tells by its first bytes what a file is that the kernel does not execute."""

from __future__ import annotations

from typing import NamedTuple

#: The kernel looks no further for the first line of a script (``BINPRM_BUF_SIZE``).
LINE_BYTES = 256
UTF8_MARK = b"\xef\xbb\xbf"

#: First bytes, what has them, and what to do.
_BUILD = "build it for Linux on x86_64 (GOOS=linux GOARCH=amd64, or the like)"
_BYTES = (
    (b"\xcf\xfa\xed\xfe", "is a program for macOS (Mach-O)", _BUILD),
    (b"\xce\xfa\xed\xfe", "is a program for macOS (Mach-O)", _BUILD),
    (b"\xfe\xed\xfa\xcf", "is a program for macOS (Mach-O)", _BUILD),
    (b"\xfe\xed\xfa\xce", "is a program for macOS (Mach-O)", _BUILD),
    (b"MZ", "is a program for Windows (PE)", _BUILD),
    (b"\0asm", "is WebAssembly", "let bootstrap be a script that starts a runtime for it"),
    (b"PK\3\4", "is a zip or a jar", "let bootstrap be a script that starts what is in it"),
    (b"\x1f\x8b", "is compressed (gzip)", "unpack it first"),
    (b"\xff\xfe", "is text in UTF-16", "save it in UTF-8 without a byte-order mark"),
    (b"\xfe\xff", "is text in UTF-16", "save it in UTF-8 without a byte-order mark"),
)
_FAT = b"\xca\xfe\xba\xbe"
#: Java class files have the same first bytes, and then a version; no Mach-O has so many parts.
_FIRST_CLASS_VERSION = 45


class Script(NamedTuple):
    """The first line of a script. ``interpreter`` is as the kernel takes it, CR and all."""

    interpreter: str
    argument: str


def read_script(head: bytes) -> Script | None:
    """The first line as the kernel reads it; None when it is no script to it.

    ``head`` are the first bytes of the file, at least ``LINE_BYTES`` of them if there are so many.
    """
    if not head.startswith(b"#!"):
        return None
    line, end, _ = head[2:LINE_BYTES].partition(b"\n")
    words = line.strip(b" \t").replace(b"\t", b" ").split(b" ", 1)
    cut = not end and len(words) == 1 and len(head) >= LINE_BYTES
    interpreter = words[0].partition(b"\0")[0]
    if cut or not interpreter:
        return None
    argument = words[1].strip(b" ") if len(words) > 1 else b""
    return Script(interpreter.decode("utf-8", "replace"), argument.decode("utf-8", "replace"))


def foreign_kind(head: bytes) -> tuple[str, str] | None:
    """What a file is that is neither ELF nor a script, and what to do; None when it may be text."""
    if head.startswith(_FAT):
        if int.from_bytes(head[4:8], "big") >= _FIRST_CLASS_VERSION:
            return "is a Java class", "let bootstrap be a script that starts java with it"
        return "is a program for macOS (Mach-O)", _BUILD
    return next(((what, fix) for magic, what, fix in _BYTES if head.startswith(magic)), None)
