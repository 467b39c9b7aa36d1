"""Claims what only one sandbox may have: its control port and its data directory.

Both are claimed first. A sandbox removes its installation's old containers when it starts. A second
sandbox, started by mistake, must end before it removes those of the first.
"""

from __future__ import annotations

import errno
import fcntl
import socket
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING

from sandbox.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"


@contextmanager
def claim_port(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen on the control port within the block. ``PlatformError`` if it cannot.

    On loopback by its IPv4 address, it listens on that of IPv6 too, where the machine has one:
    ``localhost`` leads clients to either.
    """
    with ExitStack() as claimed:
        listeners: list[socket.socket] = []
        for address in (host, LOOPBACK_6) if host == LOOPBACK else (host,):
            try:
                listeners.append(claimed.enter_context(_listen(address, port)))
                port = listeners[0].getsockname()[1]
            except OSError as error:
                if listeners and error.errno != errno.EADDRINUSE:
                    continue  # the machine has no IPv6
                raise PlatformError(
                    f"cannot listen on {address} port {port} ({error.strerror}): end the program"
                    " that does, or set SCF_PORT (SCF_HOST) to another one"
                ) from error
        yield listeners


def _listen(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address, family=family, backlog=2048)


def claim_directory(directory: Path) -> IO[bytes]:
    """Make the data directory, and lock it until the returned file is closed.

    ``PlatformError`` if another sandbox has it, or it cannot be used. Any end of the process frees
    it too.
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
