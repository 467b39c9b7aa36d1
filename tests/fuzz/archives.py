"""Packages."""

from __future__ import annotations

import io
import stat
import tarfile
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED

from sandbox.errors import SandboxError
from sandbox.packages.package import inspect
from tests.support.zips import Item, make_zip

if TYPE_CHECKING:
    from tests.fuzz.targets import Take

LINK, PROGRAM = stat.S_IFLNK | 0o777, stat.S_IFREG | 0o755


def archives() -> Take:
    """A zip is refused, or nothing of it leads out of its directory.

    Half of the inputs are the bytes of an archive, the others the names and contents of one.
    """

    def take(data: bytes) -> None:
        if not data:
            return
        try:
            package = inspect(data[1:] if data[0] & 1 else made_of(data[1:]))
        except SandboxError:
            return
        out = io.BytesIO()
        package.write_tar(out)
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                assert not path.is_absolute(), member.name
                assert ".." not in path.parts, member.name

    return take


def made_of(data: bytes) -> bytes:
    """A line is a name and, behind a blank, what is in it; the first byte of a name its kind."""
    items = []
    for line in data.split(b"\n")[:64]:
        name, _, content = line.partition(b" ")
        kind = name[0] if name else 0
        text = name[1:].decode("utf-8", "replace").replace("\0", "") or "x"
        item = Item(text, content, LINK if kind & 1 else PROGRAM)
        items.append(replace(item, method=ZIP_STORED) if kind & 2 else item)
    return make_zip(*items)
