"""The socket options of the runtime API."""

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
    """Acknowledge received bytes now.

    A client without TCP_NODELAY that sends head and body apart sends the body after the head is
    acknowledged. The kernel delays that by up to 40 ms, to send it together with an answer.
    """
    if QUICKACK:
        with contextlib.suppress(OSError):  # it has just closed
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


def probe_silent_connections(listener: socket.socket) -> None:
    """Check on silent connections whether the other end still lives.

    A poll may wait for days, and a machine that is gone sends nothing. The check changes nothing if
    the other end answers. Connections inherit it from their listener.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in PROBES:
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
