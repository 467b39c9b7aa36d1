"""Instances that try to reach each other while networks and containers come and go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

SOURCE = Path(__file__).with_name("reach.c")
PORT = 8000
#: How long instances try, seconds. 60 in the run that docs/en/security.md tells of.
SECONDS = float(os.environ.get("SCF_ISOLATION_S", "10"))
#: So many attempts of each kind are a test, for each second.
ATTEMPTS_PER_S = 40
SUMMARY = re.compile(r"(\w+) tried (\d+) reached (\d+)")


def compiled_reach(directory: Path) -> bytes:
    """The static program of ``reach.c``, which runs in any image."""
    compiler = "musl-gcc" if shutil.which("musl-gcc") else "gcc"
    made = directory / "reach"
    command = [compiler, "-static", "-O1", "-s", "-o", str(made), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return made.read_bytes()


#: The program from the package, where it can be executed.
UNPACK = "cp reach /tmp/reach; chmod +x /tmp/reach"


@dataclass(frozen=True)
class Here:
    """Where a listener is, as its first line says."""

    mac: str
    address: str

    @classmethod
    def said(cls, line: str) -> Here:
        """Of ``here MAC ADDRESS``."""
        word, mac, address = line.split()
        assert word == "here"
        return cls(mac, address)

    @property
    def link_local(self) -> str:
        """The IPv6 address that a device with this MAC gives itself (RFC 4291, appendix A)."""
        parts = [int(part, 16) for part in self.mac.split(":")]
        parts[0] ^= 2
        eui = [*parts[:3], 0xFF, 0xFE, *parts[3:]]
        groups = [f"{eui[n] << 8 | eui[n + 1]:x}" for n in range(0, 8, 2)]
        return "fe80::" + ":".join(groups)

    def attempt(self, seconds: float) -> str:
        """The command that tries to reach it."""
        return f"/tmp/reach try {PORT} {seconds} {self.address} {self.link_local}"


def assert_unreached(
    lines: list[str], seconds: float, kinds: Sequence[str] = ("tcp", "udp", "tcp6", "udp6")
) -> None:
    """A connector's summary: enough attempts of each kind, and none that got through."""
    found = SUMMARY.findall("\n".join(lines))
    assert [kind for kind, _, _ in found] == list(kinds), lines
    for kind, tried, reached in found:
        print(f"{kind}: {tried} attempts, {reached} reached")
        assert int(tried) > ATTEMPTS_PER_S * seconds, (kind, tried)
        assert int(reached) == 0, (kind, reached, tried)


@dataclass
class Turmoil:
    """How many networks came and went, each with a container in it."""

    rounds: int = 0


@contextlib.asynccontextmanager
async def turmoil(installation: str, image: str) -> AsyncIterator[Turmoil]:
    """Networks and containers made and removed until the block ends."""
    counted, ending = Turmoil(), asyncio.Event()
    running = asyncio.create_task(_make_and_remove(installation, image, counted, ending))
    try:
        yield counted
    finally:
        ending.set()
        await running


async def _make_and_remove(
    installation: str, image: str, counted: Turmoil, ending: asyncio.Event
) -> None:
    name, label = f"{installation}-turmoil", f"scf-sandbox={installation}"
    while not ending.is_set():
        await docker_says("network", "create", "--label", label, name)
        try:
            where = ("--label", label, "--name", name, "--network", name)
            await docker_says("run", "-d", *where, image, "true")
        finally:
            await docker_says("rm", "-f", name)
            await docker_says("network", "rm", name)
        counted.rounds += 1


async def docker_says(*arguments: str) -> str:
    """What the engine's command line prints."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("docker", *arguments, stdout=pipe, stderr=pipe)
    output, error = await process.communicate()
    assert process.returncode == 0, (arguments, error.decode())
    return output.decode()
