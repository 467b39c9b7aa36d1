"""Whose init is expected to dial in at the runtime API."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engine.gauge import GaugeBox, Measured


class InitLinks:
    """Gives each connection of an init to whoever expects it. One for all engines and ports.

    A name is expected once, and its secret is good once: what a function reads of it later opens
    nothing.
    """

    def __init__(self) -> None:
        self._expected: dict[str, tuple[str, Measured]] = {}
        #: Called by every link whenever its init says something. The runtime API sets it.
        self.heard: Callable[[], None] = _nobody
        #: Where inits of this machine post their gauges, if an engine has opened a box for them.
        self.box: GaugeBox | None = None

    def expect(self, name: str, link: Measured) -> str:
        """The secret with which the init of that name gets ``link`` at its other end."""
        secret = secrets.token_hex(24)
        self._expected[name] = secret, link
        return secret

    def forget(self, name: str) -> None:
        """It is not expected any more, or has come."""
        self._expected.pop(name, None)

    def admit(self, name: str, secret: str) -> Measured | None:
        """What speaks with the init of that name, if the secret is right."""
        self._empty_box()
        link = self._known(name, secret)
        if link is not None:
            del self._expected[name]
        return link

    def _known(self, name: str, secret: str) -> Measured | None:
        wanted, link = self._expected.get(name, ("", None))
        if link is None or not hmac.compare_digest(wanted.encode(), secret.encode()):
            return None
        return link

    def _empty_box(self) -> None:
        for name, secret, gauge in self.box.letters() if self.box is not None else ():
            link = self._known(name, secret)
            if link is None:
                gauge.close()
            else:
                link.measure(gauge)


def _nobody() -> None:
    """Stands for a listener until one is set."""
