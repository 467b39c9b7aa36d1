"""Writes zip entries to a tar stream or a directory. ``archive`` has checked them before."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.packages.entries import Kind
from sandbox.packages.reader import open_entry

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable

    from sandbox.packages.entries import Entry

CHUNK_BYTES = 256 * 1024


def add_to_tar(
    tar: tarfile.TarFile, archive: zipfile.ZipFile, entry: Entry, *, uid: int, gid: int
) -> None:
    """Append one entry with its mode and time; a link stays a link."""
    member = tarfile.TarInfo(entry.path)
    member.mode, member.mtime = entry.mode, entry.mtime
    member.uid, member.gid = uid, gid
    if entry.kind is Kind.DIRECTORY:
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    elif entry.kind is Kind.LINK:
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(member)
    else:
        assert entry.info is not None
        member.size = entry.size
        with open_entry(archive, entry.info) as source:
            tar.addfile(member, source)


def extract(archive: zipfile.ZipFile, entries: Iterable[Entry], directory: Path) -> None:
    """Unpack ``entries`` (parents first) into ``directory``, which appears when it is complete.

    They are written to a directory beside it, never through a link, which is then renamed. An
    existing directory stays as it is, unless it is empty.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=directory.parent))
    try:
        _write(archive, entries, fresh)
        fresh.chmod(0o755)
        try:
            fresh.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        if fresh.exists():
            _remove_tree(fresh)


def _write(archive: zipfile.ZipFile, entries: Iterable[Entry], root: Path) -> None:
    directories = []
    for entry in entries:
        path = f"{root}/{entry.path}"
        if entry.kind is Kind.DIRECTORY:
            os.mkdir(path, 0o700)
            directories.append((path, entry.mode))
        elif entry.kind is Kind.LINK:
            os.symlink(entry.target, path)
        else:
            assert entry.info is not None
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            out = open(os.open(path, flags, 0o600), "wb")  # noqa: SIM115 - closed just below
            with out, open_entry(archive, entry.info) as source:
                shutil.copyfileobj(source, out, CHUNK_BYTES)
                os.fchmod(out.fileno(), entry.mode)
    for path, mode in reversed(directories):  # children first: a parent's mode may forbid it
        os.chmod(path, mode)


def _remove_tree(root: Path) -> None:
    """Remove a half-unpacked tree, whatever the modes of its directories."""
    for directory, _, _ in os.walk(root):
        os.chmod(directory, 0o700)
    shutil.rmtree(root)
