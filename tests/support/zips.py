"""Makes zips as different tools make them, good and bad."""

from __future__ import annotations

import base64
import io
import stat
import struct
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNIX = 3
WINDOWS = 0


@dataclass(frozen=True)
class Item:
    """One entry. It is written unchecked."""

    name: str
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    system: int = UNIX
    method: int = zipfile.ZIP_DEFLATED
    date: tuple[int, int, int, int, int, int] = (2024, 5, 17, 10, 20, 30)
    extra: bytes = b""
    dos: int = 0


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> Item:
    return Item(name, data, stat.S_IFREG | mode)


def link(name: str, target: str) -> Item:
    return Item(name, target.encode(), stat.S_IFLNK | 0o777)


def folder(name: str, mode: int = 0o755) -> Item:
    return Item(f"{name}/", b"", stat.S_IFDIR | mode)


BOOTSTRAP = file("bootstrap", b"#!/bin/bash\n", 0o755)


def make_zip(*items: Item) -> bytes:
    """A zip of these entries, unchecked. Every zip of the tests is made here."""
    return _written(io.BytesIO(), items)


def streamed_zip(*items: Item) -> bytes:
    """The same as a tool makes it that cannot go back: sizes come in data descriptors."""
    return _written(_Pipe(), items)


class _Pipe(io.BytesIO):
    """What can only be written on."""

    def tell(self) -> int:
        raise io.UnsupportedOperation

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation


def _written(buffer: io.BytesIO, items: Iterable[Item]) -> bytes:
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for item in items:
            info = zipfile.ZipInfo("placeholder", item.date)
            info.filename = info.orig_filename = item.name
            info.create_system = item.system
            info.external_attr = item.mode << 16 | item.dos
            info.compress_type = item.method
            info.extra = item.extra
            archive.writestr(info, item.data)
    return buffer.getvalue()


def zip_of(
    files: Mapping[str, str | bytes] | None = None,
    modes: Mapping[str, int] | None = None,
    *,
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """A zip of ``{path: content}``. The mode is 0755 if ``modes`` has no other. Without files it
    has a bootstrap."""
    modes = modes or {}
    return make_zip(
        *(
            Item(
                name,
                content.encode() if isinstance(content, str) else content,
                stat.S_IFREG | modes.get(name, 0o755),
                method=method,
            )
            for name, content in (files or {"bootstrap": "#!/bin/bash\nexit 0\n"}).items()
        )
    )


def zip_text(
    files: Mapping[str, str | bytes] | None = None, *, method: int = zipfile.ZIP_DEFLATED
) -> str:
    """``zip_of`` in base64, as ``ZipFile`` of the cloud API has it."""
    return base64.b64encode(zip_of(files, method=method)).decode()


def package(text: str = "") -> bytes:
    """A package. Each ``text`` makes a different one."""
    return make_zip(BOOTSTRAP, file("text", text.encode()))


def patch_central(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    """``data`` with bytes of the named entry's record in the central directory replaced."""
    start = data.rindex(b"PK\1\2", 0, data.rindex(name.encode()))
    return data[: start + offset] + value + data[start + offset + len(value) :]


def patch_local(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    """``data`` with bytes of the named entry's local header replaced."""
    start = data.rindex(b"PK\3\4", 0, data.index(name.encode()))
    return data[: start + offset] + value + data[start + offset + len(value) :]


def with_claimed_size(data: bytes, name: str, size: int) -> bytes:
    """``data`` whose headers claim another size for one entry than it has."""
    claimed = struct.pack("<L", size)
    return patch_local(patch_central(data, name, 24, claimed), name, 22, claimed)
