"""Reads a package from a request. ``ZipFile`` is the only source; the others are refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api.cloud.validation import invalid, missing
from sandbox.errors import UnsupportedError
from sandbox.packages.package import decode_base64

if TYPE_CHECKING:
    from api.cloud.models.common import CodePart

#: The platform's names of its sources. Ours is the first.
SOURCES = ("ZipFile", "Inline", "Cos", "TempCos", "Demo", "Git", "Image")

#: The parts of ``Code`` that name a source which is not simulated.
_OTHERS = {
    "COS": ("CosBucketName", "CosObjectName", "CosBucketRegion", "TempCosObjectName"),
    "demos": ("DemoId",),
    "Git": (
        "GitUrl",
        "GitUserName",
        "GitPassword",
        "GitPasswordSecret",
        "GitBranch",
        "GitDirectory",
        "GitCommitId",
        "GitUserNameSecret",
    ),
    "images": ("ImageConfig",),
}


async def package_of(action: str, code: CodePart) -> bytes:
    """The bytes of the zip in ``Code`` (or a layer's ``Content``).

    ``UnsupportedOperation`` if it names another source too. The code for a missing ``Code`` if it
    names none. ``InvalidParameterValue.ZipFileBase64BinasciiError`` if it is not base64.
    """
    for source, names in _OTHERS.items():
        if any(getattr(code, name) for name in names):
            raise no_source(source)
    if code.ZipFile is None:
        raise missing(action, "Code")
    return await asyncio.to_thread(decode_base64, code.ZipFile)


def check_source(action: str, source: str | None) -> None:
    """Check that ``CodeSource`` is empty or ZipFile. ``UnsupportedOperation`` for the platform's
    other sources, ``InvalidParameterValue.CodeSource`` for an unknown one."""
    if not source or source.lower() == "zipfile":
        return
    if source.lower() in (known.lower() for known in SOURCES):
        raise no_source(source)
    raise invalid(action, "CodeSource", f"CodeSource {source[:80]!r} is none: use ZipFile")


def no_source(source: str) -> UnsupportedError:
    """Makes the ``UnsupportedOperation`` for code that the request does not hold."""
    return UnsupportedError(
        f"this sandbox takes no code from {source}: send the package in ZipFile, in base64"
    )
