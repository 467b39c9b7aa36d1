"""The programs that run as functions, and the packages made of them."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "bash"


def build(directory: Path) -> Path:
    """Compile the keep-alive bootstrap into ``directory``, which others may read."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "bootstrap"
    command = ["gcc", "-O2", "-static", "-o", str(target), str(HERE / "bootstrap.c")]
    subprocess.run(command, check=True, timeout=120)
    directory.chmod(0o755)
    return directory


def bash_for_lambda(directory: Path) -> Path:
    """The example's bash function for AWS Lambda's runtime API, with the same handler and curl
    calls."""
    directory.mkdir(parents=True, exist_ok=True)
    for source, name in (
        (HERE / "bootstrap-lambda.sh", "bootstrap"),
        (EXAMPLE / "index.sh", "index.sh"),
    ):
        target = directory / name
        shutil.copyfile(source, target)
        target.chmod(0o755)
    directory.chmod(0o755)
    return directory


def package(files: dict[str, bytes]) -> bytes:
    """A zip of executable files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = 0o100755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return target.getvalue()


def bash_package() -> bytes:
    """The README's example, unchanged."""
    return package({name: (EXAMPLE / name).read_bytes() for name in ("bootstrap", "index.sh")})
