"""How an instance's init gets its connection: one request, then frames (``init/README.md``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from api.runtime.protocol import Upgrade

if TYPE_CHECKING:
    import asyncio

    from api.runtime.head import Head

NAME = b"scf-init/1"
#: An instance's, and that of a place in which instances run.
PATHS = (b"/runtime/instance", b"/runtime/place")
SECRET = b"scf-init-secret"


class InitLinks(Protocol):
    """The inits that are expected to dial in, as the runtime API sees them."""

    def admit(self, name: str, secret: str) -> asyncio.Protocol | None:
        """What speaks with the init of that name, if the secret is right. Once."""
        ...


def init_upgrades(links: InitLinks) -> dict[bytes, Upgrade]:
    """For ``RuntimeServer``."""

    def accept(head: Head, _peer: str) -> asyncio.Protocol | None:
        return links.admit(head.host, head.fields.get(SECRET, b"").decode("latin-1"))

    return dict.fromkeys(PATHS, Upgrade(NAME, accept))
