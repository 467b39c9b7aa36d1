"""What only one sandbox at a time may have: its control port and its data directory.

Both are claimed before anything else is done. A sandbox sweeps its installation's containers when
it starts: one that was started a second time by mistake must end before it does that to the first.
"""

from __future__ import annotations

import fcntl
import socket
from typing import IO, TYPE_CHECKING

from sandbox.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path


def claim_port(host: str, port: int) -> socket.socket:
    """Listen on the control port. ``PlatformError`` when that cannot be done."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=2048)
    except OSError as error:
        raise PlatformError(
            f"cannot listen on {host} port {port} ({error.strerror}): end the program that does, or"
            " set SCF_PORT (SCF_HOST) to another one"
        ) from error


def claim_directory(directory: Path) -> IO[bytes]:
    """Lock the data directory, which is made if need be; until what this returns is closed.

    ``PlatformError`` when another sandbox has it, or it cannot be used. The end of the process,
    whatever ends it, frees it too.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("ab")
    except OSError as error:
        raise PlatformError(
            f"the data directory {directory} cannot be used ({error.strerror}): set SCF_DATA_DIR"
            " to one that is writable"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise PlatformError(
            f"another sandbox uses the data directory {directory}: end it, or start this one with"
            " SCF_DATA_DIR, SCF_INSTALLATION, SCF_PORT and SCF_RUNTIME_PORT of its own"
        ) from error
    return lock
