"""What the runtime API asks of the kernel."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

#: Linux only. 0 is no option of TCP's.
QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)
#: Not on every system. Seconds, seconds, times.
PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 20), ("TCP_KEEPCNT", 3))


def acknowledge(transport: asyncio.Transport) -> None:
    """Confirm now what has come of a request.

    A client that sends head and body apart, without TCP_NODELAY, sends the second when the first
    is confirmed, and the kernel waits up to 40 ms for an answer to put that into.
    """
    if QUICKACK:
        with contextlib.suppress(OSError):  # it has just gone
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


def probe_silent_connections(listener: socket.socket) -> None:
    """Ask on connections that are silent whether the other end is still there.

    A poll may be parked for days, and a machine or a network that is gone says nothing. Where the
    other end answers, asking changes nothing. Connections have this from their listener.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in PROBES:
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
