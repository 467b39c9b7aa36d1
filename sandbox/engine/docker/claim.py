"""One control plane for an installation, seen through the engine.

A data directory is claimed by a lock (``api.process.exclusive``). Two control planes with data
directories of their own may still have one installation, and one engine: each would sweep what the
other runs. So whoever opens the engine first makes a container that never runs. Its name can be
taken once; its labels say who made it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from sandbox.engine.docker.options import ContainerOptions
from sandbox.engine.docker.own_container import own_container_id
from sandbox.engine.docker.removal import remove_container
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from sandbox.engine.docker.client import DockerClient
    from sandbox.engine.docker.labels import Labels

log = structlog.get_logger()

ROLE = "claim"
#: A holder that nobody can look at, and of whom nothing runs, is believed for so long: it may have
#: just been started. Seconds.
FRESH_S = 30.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Claim:
    """Of one installation, by this process."""

    def __init__(self, client: DockerClient, labels: Labels) -> None:
        self._client = client
        self._labels = labels
        self._name = f"scf-{labels.installation}-claim"
        self._container = ""

    async def take(self, image: str) -> None:
        """``EngineError`` (``CONFLICT``) where a control plane that lives has it. One of a process
        that is gone is taken over."""
        options = self._options(image, await self._holder())
        for _ in range(2):
            try:
                self._container = await self._client.create_container(options)
            except EngineError as error:
                if error.kind is not EngineErrorKind.CONFLICT:
                    raise
            else:
                return
            await self._drop_if_forsaken()
        raise self._refusal("another control plane")

    async def give_back(self) -> None:
        """Nobody has it. Idempotent."""
        if self._container:
            await remove_container(self._client, self._container)
            self._container = ""

    def _options(self, image: str, holder: str) -> ContainerOptions:
        return ContainerOptions(
            image=image,
            name=self._name,
            command=("true",),
            labels=self._labels.of(ROLE, holder=holder, since=f"{time.time():.0f}"),
            network_mode="none",
            unprivileged=True,
        )

    async def _holder(self) -> str:
        own = own_container_id()
        if own and await self._client.is_running(own):
            return f"container {own}"
        return f"process {os.getpid()} {_started(str(os.getpid()))} {_place()}"

    async def _drop_if_forsaken(self) -> None:
        try:
            labels = await self._client.container_labels(self._name)
        except EngineError as error:
            if error.kind is EngineErrorKind.GONE:
                return
            raise
        holder, since = labels.get("scf-sandbox.holder", ""), labels.get("scf-sandbox.since", "")
        if await self._lives(holder.split(), int(since) if since.isdecimal() else 0):
            raise self._refusal(" ".join(holder.split()[:2])[:24] or "of another version")
        log.info("claim_taken_over", installation=self._labels.installation, of=holder)
        await remove_container(self._client, self._name)

    async def _lives(self, holder: list[str], since: int) -> bool:
        match holder:
            case ["container", own_id]:
                # Our own is of an earlier process in it: the container was started again.
                return own_id != own_container_id() and await self._client.is_running(own_id)
            case ["process", pid, started, place] if place == _place():
                return _started(pid) == started
        # On another machine, or beyond this one's sight. Inits end with their control plane.
        return time.time() - since < FRESH_S or await self._client.any_running(self._labels.mine)

    def _refusal(self, holder: str) -> EngineError:
        name = self._labels.installation
        return EngineError(
            f"the installation {name!r} belongs to another sandbox that runs ({holder}): end that,"
            " or start this one with SCF_INSTALLATION, SCF_DATA_DIR, SCF_PORT and SCF_RUNTIME_PORT"
            " of its own",
            EngineErrorKind.CONFLICT,
        )


def _place() -> str:
    """The boot and the process namespace in which a process number means something."""
    return f"{_text(BOOT_ID).strip()}/{os.readlink('/proc/self/ns/pid')}"


def _started(pid: str) -> str:
    """When a process was started, in ticks since the boot; empty where none runs."""
    state, *found = _text(f"/proc/{pid}/stat").rpartition(")")[2].split() or ["X"]
    return "" if state in "XZ" else found[18]


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
