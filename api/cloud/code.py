"""Where a package comes from. Only ``ZipFile`` is a source here; every other one is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api.cloud.validation import invalid, missing
from sandbox.errors import UnsupportedError
from sandbox.packages.package import decode_base64

if TYPE_CHECKING:
    from api.cloud.models.common import CodePart

#: What the platform calls its sources; ours is the first.
SOURCES = ("ZipFile", "Inline", "Cos", "TempCos", "Demo", "Git", "Image")

#: The parts of ``Code`` that stand for a source which is not simulated.
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

    ``UnsupportedOperation`` when it names, also, another source; the code for a missing ``Code``
    when it names none; ``InvalidParameterValue.ZipFileBase64BinasciiError``.
    """
    for source, names in _OTHERS.items():
        if any(getattr(code, name) for name in names):
            raise no_source(source)
    if code.ZipFile is None:
        raise missing(action, "Code")
    return await asyncio.to_thread(decode_base64, code.ZipFile)


def check_source(action: str, source: str | None) -> None:
    """``CodeSource``: none, or ZipFile. ``UnsupportedOperation`` for the platform's others,
    ``InvalidParameterValue.CodeSource`` for what is none."""
    if not source or source.lower() == "zipfile":
        return
    if source.lower() in (known.lower() for known in SOURCES):
        raise no_source(source)
    raise invalid(action, "CodeSource", f"CodeSource {source[:80]!r} is none: use ZipFile")


def no_source(source: str) -> UnsupportedError:
    """``UnsupportedOperation`` for code that does not come in the request, to be raised."""
    return UnsupportedError(
        f"this sandbox takes no code from {source}: send the package in ZipFile, in base64"
    )
