"""Where the process engine gets init from: the program that is the parent of every bootstrap."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from sandbox.errors import EngineError

#: Where an image of ours has it.
IN_IMAGE = Path("/.scf/init")
#: Its sources: in a checkout, and in the wheel.
SOURCES = (Path(__file__).parents[3] / "init", Path(__file__).parent / "init")
BUILD_TIMEOUT_S = 120


def find_init(chosen: Path | None) -> Path:
    """``chosen`` (``SCF_INIT_PROGRAM``), or that of the image, or one compiled from the sources.

    A compiled one is kept for all checkouts under a hash of its sources, where the scripts look
    too. ``EngineError`` where there is none. Blocks, for a second where it has to be compiled.
    """
    if chosen is not None:
        if not os.access(chosen, os.X_OK):
            raise EngineError(f"SCF_INIT_PROGRAM is {chosen}, which is no program")
        return chosen.absolute()
    if os.access(IN_IMAGE, os.X_OK):
        return IN_IMAGE
    sources = next((place for place in SOURCES if (place / "build").exists()), None)
    if sources is None:
        raise EngineError(
            "the process engine needs init, and its sources are not here: set SCF_INIT_PROGRAM to"
            " one, or use the docker engine"
        )
    program = _cache() / "init" / f"program-{_hash(sources)}"
    if not program.exists():
        _compile(sources, program)
    return program


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SCF_CACHE_DIR") or Path(home) / "scf-sandbox").absolute()


def _hash(sources: Path) -> str:
    """As ``scripts/lib.sh`` does it: 16 digits."""
    files = [*sorted(sources.glob("*.c")), *sorted(sources.glob("*.h")), sources / "build"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _compile(sources: Path, program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=program.parent) as directory:
            made = Path(directory) / "init"
            subprocess.run(
                ["/bin/sh", str(sources / "build"), str(made)],
                check=True,
                capture_output=True,
                timeout=BUILD_TIMEOUT_S,
            )
            made.replace(program)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        raise EngineError(
            "the process engine cannot compile init: install gcc with its static C library (Debian:"
            " gcc libc6-dev), or set SCF_INIT_PROGRAM to one that is compiled"
            f" ({said.decode('utf-8', 'replace').strip()[-300:]})"
        ) from error
