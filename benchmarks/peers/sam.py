"""Runs SAM local without a registry. Its image is built here from that of the instances."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.client import Request, call
from benchmarks.containers import IMAGE, docker, free_port
from benchmarks.waiting import listens, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPOSITORY = "scf-sandbox/bench-sam"
FUNCTION = "Echo"


class Sam:
    """An installed SAM with one function. It cannot label its containers, so the image has the
    label."""

    def __init__(self, program: Path, project: Path) -> None:
        self._program = program
        self._project = project
        self._environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}

    def invoke_once(self, event: bytes) -> None:
        """``sam local invoke``: a container is made, serves the event, and is removed."""
        done = subprocess.run(
            self._command("invoke", FUNCTION, "--event", "-"),
            cwd=self._project,
            env=self._environment,
            input=event,
            capture_output=True,
            check=True,
            timeout=120,
        )
        if json.loads(done.stdout) != json.loads(event):
            raise RuntimeError(f"sam local invoke answered {done.stdout[:200]!r}")

    @contextmanager
    def serving(self, event: bytes) -> Iterator[Request]:
        """``sam local start-lambda`` with a warm container: the request that invokes it."""
        port = free_port()
        address = ("--host", "127.0.0.1", "--port", str(port))
        process = subprocess.Popen(
            self._command("start-lambda", *address, "--warm-containers", "EAGER"),
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: listens(port), "SAM's endpoint answers", 60)
            request = Request(port, f"/2015-03-31/functions/{FUNCTION}/invocations", event)
            answer: Any = call(request).json()
            if answer != json.loads(event):
                raise RuntimeError(f"SAM answered {answer}")
            yield request
        finally:
            process.terminate()
            process.wait(60)

    def _command(self, *arguments: str) -> list[str]:
        image = ("--skip-pull-image", "--invoke-image", f"{REPOSITORY}:base")
        return [str(self._program), "local", *arguments, *image]


@contextmanager
def installed(cache: Path, code: Path, label: str, directory: Path, version: str) -> Iterator[Sam]:
    """Install SAM into its own environment, and build the image that it would pull."""
    program = cache / f"sam-{version}" / "bin" / "sam"
    if not program.exists():
        home = program.parents[1]
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, timeout=120)
        subprocess.run(
            [
                *(str(home / "bin" / "python"), "-m", "pip", "install", "-qq"),
                *("--disable-pip-version-check", f"aws-sam-cli=={version}"),
            ],
            check=True,
            timeout=400,
        )
    directory.mkdir()
    (directory / "template.yaml").write_text(json.dumps(_template(code)))  # JSON is YAML
    recipe = f"FROM {IMAGE}\nLABEL scf-sandbox={label}\nUSER root\n"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", f"{REPOSITORY}:base", "-"],
        input=recipe.encode(),
        check=True,
        capture_output=True,
        timeout=120,
    )
    try:
        yield Sam(program, directory)
    finally:
        left = docker("ps", "--all", "--quiet", "--filter", f"label=scf-sandbox={label}").split()
        if left:
            docker("rm", "--force", *left)
        # The newest first: an image cannot be removed while another is built on it.
        images = dict.fromkeys(docker("image", "ls", "--quiet", REPOSITORY).split())
        docker("image", "rm", "--force", *images)


def _template(code: Path) -> dict[str, Any]:
    properties = {
        "CodeUri": str(code),
        "Handler": "index.main_handler",
        # Any custom runtime works: it only chooses the image, which is replaced.
        "Runtime": "provided.al2023",
        "MemorySize": 128,
        "Timeout": 60,
        "Environment": {"Variables": {"RUNTIME": "lambda"}},
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {FUNCTION: {"Type": "AWS::Serverless::Function", "Properties": properties}},
    }
