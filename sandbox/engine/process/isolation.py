"""What keeps the instances of the process engine apart: bubblewrap, or hardly anything.

Either way the bootstrap's parent is init (``init/README.md``), which takes everything below it
along when it ends or when the engine does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sandbox import limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sandbox.engine.base import InstanceSpec

#: Where init is within bubblewrap, as in a container.
INIT = "/.scf/init"

#: The host's parts that make a system without its data. Others do not exist in the sandbox.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
ETC = (
    *("alternatives", "ca-certificates", "gai.conf", "host.conf", "hosts", "ld.so.cache"),
    *("ld.so.conf", "ld.so.conf.d", "mime.types", "nsswitch.conf", "pki", "protocols"),
    *("resolv.conf", "services", "ssl"),
)
USER_ID = "1000"
PASSWD = "root:x:0:0:root:/root:/bin/bash\nqcloud:x:1000:1000::/home/qcloud:/bin/bash\n"
GROUP = "root:x:0:\nqcloud:x:1000:\n"

#: What a container's /dev/shm holds.
SHM_BYTES = 64 * limits.MIB

#: Seconds that the first try of bubblewrap may take.
PROBE_TIMEOUT_S = 10.0

#: Variables in which the platform names its directories, which are elsewhere without a sandbox.
PATH_VARIABLES = ("PWD", "USER_CODE_ROOT", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_PATH")


@dataclass(frozen=True, slots=True)
class Places:
    """An instance's directories on this machine. ``layers`` is None for a function without."""

    code: Path
    layers: Path | None
    scratch: Path


class Isolation(Protocol):
    """How an instance's process is started and kept apart."""

    name: str
    #: What it does and does not do, as a sentence for people.
    note: str
    #: What ``/tmp`` is (``EngineInfo.tmp``), and the memory that it may take.
    tmp: str
    beside_mb: int

    def command(self, init: Path, options: Sequence[str], arguments_fd: int) -> tuple[str, ...]:
        """What the engine executes: ``init`` with these options in the end."""
        ...

    def environment(self, places: Places, environment: Mapping[str, str]) -> dict[str, str]:
        """Of what the engine executes."""
        ...

    def arguments(
        self, spec: InstanceSpec, init: Path, places: Places, environment: Mapping[str, str]
    ) -> bytes:
        """What is to be read from ``arguments_fd``, so that no secret is in a command line."""
        ...


class Bubblewrap:
    """A read-only system without the host's data, with process and IPC namespaces of its own."""

    name = "bubblewrap"
    note = (
        "bubblewrap keeps instances apart: read-only system, code at /var/user, a /tmp of their"
        " own, no sight of other processes or of your files; the network is the host's"
    )
    tmp = (
        f"memory: {limits.TMP_BYTES // limits.MIB} MB for each instance, beside its memory and in"
        " the budget"
    )
    beside_mb = limits.TMP_BYTES // limits.MIB

    def __init__(self, program: str, accounts: Path) -> None:
        """``accounts`` is a directory for the sandbox's own passwd and group files."""
        self._program = program
        accounts.mkdir(parents=True, exist_ok=True)
        (accounts / "passwd").write_text(PASSWD)
        (accounts / "group").write_text(GROUP)
        self._system = [*_system_arguments(), *_account_arguments(accounts)]

    def trial(self) -> tuple[str, ...]:
        """A command that succeeds if bubblewrap supports every option we use."""
        return (self._program, *self._system, "--remount-ro", "/", "/bin/sh", "-c", "true")

    def command(self, init: Path, options: Sequence[str], arguments_fd: int) -> tuple[str, ...]:
        return (self._program, "--args", str(arguments_fd), INIT, *options)

    def environment(self, places: Places, environment: Mapping[str, str]) -> dict[str, str]:
        return {}

    def arguments(
        self, spec: InstanceSpec, init: Path, places: Places, environment: Mapping[str, str]
    ) -> bytes:
        arguments = [*self._system, "--as-pid-1", "--dir", "/.scf"]
        arguments += ["--ro-bind", str(init), INIT]
        arguments += ["--ro-bind", str(places.code), "/var/user"]
        if places.layers is not None:
            arguments += ["--ro-bind", str(places.layers), "/opt"]
        else:
            arguments += ["--dir", "/opt"]
        arguments += ["--remount-ro", "/", "--hostname", spec.instance_id[:12]]
        # Cleared here, so that what the function sets (LD_PRELOAD) does not act on bubblewrap.
        arguments.append("--clearenv")
        for name, value in environment.items():
            arguments += ["--setenv", name, value]
        arguments += ["--chdir", "/var/user"]
        return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


class PlainProcess:
    """A process like any other, below an init that leaves nothing behind."""

    name = "none"
    note = (
        "nothing keeps instances from this machine's files and processes (install bubblewrap for"
        " that): run only code that you trust. The code is at USER_CODE_ROOT instead of /var/user,"
        " is not read-only, and /tmp is the host's"
    )
    tmp = "the machine's own: shared by all instances, and without a limit"
    beside_mb = 0

    def command(self, init: Path, options: Sequence[str], arguments_fd: int) -> tuple[str, ...]:
        return (str(init), *options)

    def environment(self, places: Places, environment: Mapping[str, str]) -> dict[str, str]:
        # The cloud's clock shows UTC; the rest of the system is the host's.
        moved = {"TZ": "UTC", **environment, "TMPDIR": str(places.scratch)}
        for name in PATH_VARIABLES:
            if name in moved:
                moved[name] = _moved(moved[name], places)
        return moved

    def arguments(
        self, spec: InstanceSpec, init: Path, places: Places, environment: Mapping[str, str]
    ) -> bytes:
        return b""


async def choose_isolation(accounts: Path) -> Isolation:
    """Bubblewrap where it is installed and may do its work, else plain processes."""
    program = shutil.which("bwrap")
    if program is None:
        return PlainProcess()
    isolation = Bubblewrap(program, accounts)
    return isolation if await _works(isolation) else PlainProcess()


async def _works(isolation: Bubblewrap) -> bool:
    """Try it once: old versions lack options, and containers mostly forbid namespaces."""
    process = await asyncio.create_subprocess_exec(
        *isolation.trial(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await asyncio.wait_for(process.wait(), PROBE_TIMEOUT_S) == 0
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False


def _system_arguments() -> list[str]:
    arguments = ["--unshare-user", "--uid", USER_ID, "--gid", USER_ID, "--cap-drop", "ALL"]
    arguments += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--die-with-parent", "--new-session"]
    for path in SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        else:
            arguments += ["--ro-bind-try", path, path]
    for name in ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    arguments += ["--perms", "1777", "--size", str(SHM_BYTES), "--tmpfs", "/dev/shm"]
    arguments += ["--perms", "1777", "--size", str(limits.TMP_BYTES), "--tmpfs", "/tmp"]
    return arguments


def _account_arguments(accounts: Path) -> list[str]:
    arguments = ["--dir", "/home/qcloud"]
    for name in ("passwd", "group"):
        arguments += ["--ro-bind", str(accounts / name), f"/etc/{name}"]
    return arguments


def _moved(value: str, places: Places) -> str:
    """A variable's value with the platform's directories replaced by where they are here."""
    parts = []
    for part in value.split(":"):
        if part.startswith("/var/user"):
            part = str(places.code) + part.removeprefix("/var/user")
        elif part.startswith("/opt") and places.layers is not None:
            part = str(places.layers) + part.removeprefix("/opt")
        parts.append(part)
    return ":".join(parts)
