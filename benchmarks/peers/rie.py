"""Runs AWS Lambda's Runtime Interface Emulator: on loopback, or in a container as users do."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.client import Request, call
from benchmarks.containers import Containers, docker, free_port
from benchmarks.waiting import listens, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHEEL = "aws-sam-cli"
MEMBER = "samcli/local/rapid/aws-lambda-rie-x86_64"
PATH = "/2015-03-31/functions/function/invocations"
ENVIRONMENT = {"RUNTIME": "lambda", "_HANDLER": "index.main_handler"}


class Rie:
    """The emulator's binary, and the version of the package ``aws-sam-cli`` that has it."""

    def __init__(self, binary: Path, version: str) -> None:
        self.binary = binary
        self.version = version

    @contextmanager
    def bare(self, code: Path) -> Iterator[int]:
        """Run ``code``/bootstrap by a process on loopback. Gives its port."""
        port, api = free_port(), free_port()
        process = subprocess.Popen(
            [
                *(str(self.binary), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{api}", "./bootstrap", "index.main_handler"),
            ],
            cwd=code,
            env={"PATH": os.defpath, **ENVIRONMENT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: listens(port), "the emulator answers", 20)
            yield port
        finally:
            process.terminate()  # its bootstrap ends with it
            process.wait(20)

    @contextmanager
    def contained(self, containers: Containers, code: Path) -> Iterator[int]:
        """Run it in a container, as its documentation says. Gives the published port.

        It has no limits, because users set none for the emulator. It is faster without them.
        """
        container = containers.start(
            code,
            ENVIRONMENT,
            *("--volume", f"{self.binary}:/usr/local/bin/aws-lambda-rie:ro"),
            *("--publish", "127.0.0.1::8080"),
            command=("/usr/local/bin/aws-lambda-rie", "./bootstrap", "index.main_handler"),
        )
        try:
            port = int(docker("port", container, "8080/tcp").rpartition(":")[2])
            until(lambda: listens(port), "the emulator in its container answers", 20)
            yield port
        finally:
            docker("rm", "--force", container)


def request(port: int, event: bytes, expected: bytes | None = None) -> Request:
    """An invocation, after one call that checks the answer."""
    found = Request(port, PATH, event)
    answer = call(found).body
    if answer != (event if expected is None else expected):
        raise RuntimeError(f"the emulator answered {answer[:200]!r}")
    return found


def fetch(cache: Path) -> Rie:
    """Take the binary from the package ``aws-sam-cli``, which is downloaded once."""
    wheels, binary = cache / "wheel", cache / "aws-lambda-rie"
    found = sorted(wheels.glob("aws_sam_cli-*.whl"))
    if not found:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "-qq", "--no-deps"),
                *("--disable-pip-version-check", "--only-binary=:all:", "--dest", str(wheels)),
                WHEEL,
            ],
            check=True,
            timeout=300,
        )
        found = sorted(wheels.glob("aws_sam_cli-*.whl"))
    if not binary.exists():
        with zipfile.ZipFile(found[-1]) as wheel:
            binary.write_bytes(wheel.read(MEMBER))
        binary.chmod(0o755)
    return Rie(binary, found[-1].name.split("-")[1])
