"""An offer of another protocol (``Upgrade: h2c``), which nothing here takes up (RFC 9110, 7.8).

Java's own HTTP client makes one with its first request. The parser takes such a request as the last
one of its connection, and its body as bytes of the other protocol.
"""

from __future__ import annotations


def head_without_offer(
    method: bytes, target: bytes, version: str, headers: list[tuple[bytes, bytes]]
) -> bytes:
    """The head of the same request without the offer, as bytes to read anew."""
    fields = b"".join(
        b"%b: %b\r\n" % (name, value) for name, value in headers if name != b"upgrade"
    )
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version.encode(), fields)
