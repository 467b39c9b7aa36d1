"""Which names a client may call the sandbox by, as its ``Host`` header says.

A page can make its own name resolve to 127.0.0.1 (DNS rebinding). For the browser its requests then
have the same origin, and only ``Host`` tells them from ours. So a name is allowed only if no
stranger can choose its address.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names below these domains are allowed. The first always leads to this machine. The others are the
#: platform's: clients use them if their traffic is directed here.
OWN_DOMAINS = (".localhost", ".tencentcloudapi.com", ".myqcloud.com")

#: How many decisions are kept. A ``Host`` longer than the second figure is refused unread: a name
#: has 253 characters at most.
KNOWN_AT_MOST = 1024
LONGEST_HEADER = 300

#: Some clients send their endpoint as it was configured, with the scheme.
_HEADER = re.compile(
    r"(?:https?://)?(?:\[(?P<ipv6>[0-9a-f:.%a-z_-]+)\]|(?P<name>[a-z0-9_.-]+?)\.?)(?::\d*)?"
)
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_IPV4 = re.compile(r"[0-9.]+")


class AllowedHosts:
    """Decides on ``Host`` headers. An application has one, and asks it about every request.

    It allows IP addresses, names without a dot, ``localhost``, the names below ``OWN_DOMAINS`` and
    the configured names (``dev.example.com``, or ``*.example.com`` for all names below it).
    """

    def __init__(self, configured: Iterable[str] = ()) -> None:
        names = [name.lower().rstrip(".") for name in configured]
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._domains = OWN_DOMAINS + tuple(name[1:] for name in names if name.startswith("*."))
        self._known: dict[bytes, bool] = {}

    @property
    def known(self) -> int:
        """How many decisions are remembered."""
        return len(self._known)

    def allows(self, host: bytes) -> bool:
        """Whether a client that sends this header may use the sandbox."""
        known = self._known.get(host)
        return self._decide(host) if known is None else known

    def _decide(self, host: bytes) -> bool:
        if len(host) > LONGEST_HEADER:
            return False
        if len(self._known) >= KNOWN_AT_MOST:
            self._known.clear()
        found = _HEADER.fullmatch(host.decode("latin-1").strip(" \t").lower())
        allowed = found is not None and (
            self._is_ours(found["name"]) if found["name"] else _is_address(found["ipv6"], 6)
        )
        self._known[host] = allowed
        return allowed

    def _is_ours(self, name: str) -> bool:
        labels = name.split(".")
        if not all(map(_LABEL.fullmatch, labels)):
            return False
        if len(labels) == 1 or name in self._names or name.endswith(self._domains):
            return True
        return _IPV4.fullmatch(name) is not None and _is_address(name, 4)


def bare_name(host: bytes) -> str:
    """The name in a ``Host`` header, without scheme and port, for a message. At most 100 long."""
    text = host[:LONGEST_HEADER].decode("latin-1").strip(" \t").lower()
    found = _HEADER.fullmatch(text)
    return ((found["name"] or found["ipv6"]) if found else text)[:100]


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
