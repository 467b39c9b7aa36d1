"""An earlier commit of this project, made ready to be measured beside this one."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.containers import docker
from benchmarks.machine import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASES = ROOT / ".env.images"


@dataclass(frozen=True)
class Earlier:
    """``root`` holds the commit's files. ``image`` is its instances', of today's bases."""

    name: str
    root: Path
    image: str


@contextmanager
def earlier(revision: str, directory: Path) -> Iterator[Earlier]:
    """``subprocess.CalledProcessError`` where git does not know the revision."""
    name = _git("rev-parse", "--short", f"{revision}^{{commit}}").decode().strip()
    root = directory / f"earlier-{name}"
    root.mkdir()
    files = _git("archive", name)
    subprocess.run(["tar", "--extract", "--directory", str(root)], input=files, check=True)
    image = f"scf-sandbox/bench-earlier:{name}"
    lines = BASES.read_text().splitlines()
    bases = dict(line.split("=", 1) for line in lines if line.startswith("SCF_"))
    arguments = {
        "BASE_IMAGE": bases["SCF_BASE_IMAGE"],
        "BASE_KIND": bases["SCF_BASE_KIND"],
        "BUILD_IMAGE": bases["SCF_BUILD_IMAGE"],
    }
    options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    docker("build", *options, "--tag", image, "--file", f"{root}/Dockerfile.centos7", f"{root}")
    try:
        yield Earlier(f"ours at {name}", root, image)
    finally:
        docker("image", "rm", image)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout
