"""Opens a port in the machine's own network and hands it over: the other end of ``lent_port``.

``python -m sandbox.engine.docker.lend_port ADDRESS PORT PATH``, in a container of its own.
"""

from __future__ import annotations

import errno
import socket
import sys


def lend(address: str, port: int, path: str) -> None:
    """Send the open socket to whoever listens at ``path``, or the errno as text."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
        try:
            listener = socket.create_server((address, port), backlog=1024)
        except OSError as error:
            door.sendall(str(error.errno or errno.EIO).encode())
            return
        with listener:
            socket.send_fds(door, [b"0"], [listener.fileno()])


if __name__ == "__main__":
    lend(sys.argv[1], int(sys.argv[2]), sys.argv[3])
