"""The multiplexed stream of an attached container, as an asyncio protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = 8
STDERR = 2


class AttachProtocol(asyncio.Protocol):
    """Takes the frames apart: stream number, 3 bytes of padding, 4 bytes of length, payload.

    What came on stdout goes to ``output``, what came on stderr to ``report``.
    """

    def __init__(
        self,
        output: Callable[[bytes], None],
        report: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        self._output = output
        self._report = report
        self._ended = ended
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Any part of the stream."""
        data = self._buffer + data if self._buffer else data
        start, size = 0, len(data)
        payload: list[bytes] = []
        report = b""
        while size - start >= HEADER:
            end = start + HEADER + int.from_bytes(data[start + 4 : start + HEADER], "big")
            if end > size:
                break
            if data[start] == STDERR:
                report += data[start + HEADER : end]
            else:
                payload.append(data[start + HEADER : end])
            start = end
        self._buffer = data[start:]
        if payload:
            self._output(b"".join(payload))
        if report:
            self._report(report)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the stream, however it came."""
        self._ended()
