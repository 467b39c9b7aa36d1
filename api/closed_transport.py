"""A transport to which a late answer can be written: its client has gone, nobody reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class LateTransport:
    """A request's own end of its connection.

    Between the end of a connection and the event loop's word of it, uvicorn goes on to answer what
    was pipelined. uvloop then raises an error, for which uvicorn prints a stack; asyncio does not.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Write, if there is still somebody to read it."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nobody reads any more."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close it, once."""
        self._transport.close()
