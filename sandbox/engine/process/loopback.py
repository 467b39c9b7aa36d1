"""A loopback address for each instance of the process engine."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from sandbox.errors import EngineError

if TYPE_CHECKING:
    import asyncio

    from sandbox.engine.base import Listen

#: How many addresses are tried before the port is given up.
ATTEMPTS = 16


class LoopbackAddresses:
    """Opens the runtime API on an address of 127.0.0.0/8 that nobody else uses.

    The address follows from the instance's random id, so it is not easily guessed. Never
    127.0.0.1, where everything else on the machine listens. It is free again when its server is
    closed.
    """

    def __init__(self, listen: Listen) -> None:
        self._listen = listen

    async def take(self, instance_id: str) -> tuple[str, asyncio.AbstractServer]:
        """An address and the server that listens there."""
        start = int(instance_id[:6], 16)
        for attempt in range(ATTEMPTS):
            address = _address(start + attempt)
            try:
                return address, await self._listen(address)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise EngineError(
                        f"this system has no address {address} for an instance: the process engine"
                        " needs all of 127.0.0.0/8, which Linux has; use the docker engine"
                    ) from error
                if error.errno != errno.EADDRINUSE:
                    raise EngineError(f"cannot listen on {address}: {error}") from error
        raise EngineError(
            "the runtime API's port is taken on every loopback address: end the program that"
            " listens on 0.0.0.0 there, or set SCF_RUNTIME_PORT"
        )


def _address(number: int) -> str:
    """127.a.b.c with a and c from 1 to 254."""
    rest, last = divmod(number, 254)
    second, third = divmod(rest, 256)
    return f"127.{second % 254 + 1}.{third}.{last + 1}"
