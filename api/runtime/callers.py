"""Knows the callers of the runtime API, and limits what each instance uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from api.runtime.head import Refused
from api.runtime.replies import CROWDED, FORBIDDEN, HOARDING
from sandbox.limits import RESPONSE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.instance.instance import Instance

#: The most connections of an instance.
CONNECTIONS = 64
#: The most connections of an address that have not named their instance yet. Instances share an
#: address if addresses are translated.
NAMELESS_CONNECTIONS = 256
#: The most bytes of unfinished bodies of an instance, over all its connections. A runtime has one
#: event at a time. Beside its result it can send late results of earlier events.
HELD_BYTES = 4 * RESPONSE_BYTES


class InstanceLookup(Protocol):
    """The pool, as the runtime API uses it: instances by ``runtime_host`` and by ``peer``."""

    @property
    def by_host(self) -> Mapping[str, Instance]:
        """Instances by the host name that each one got."""
        ...

    @property
    def by_peer(self) -> Mapping[str, Instance]:
        """Instances by their own address."""
        ...


class Account:
    """What one instance uses at present. ``held`` is in bytes."""

    __slots__ = ("connections", "held")

    def __init__(self) -> None:
        self.connections = 0
        self.held = 0


class Callers:
    """Finds the instance of a connection, and counts connections: by address at first, then by
    instance.

    An instance is known by its host name, which is also its secret. The name must come from the
    instance's own address, if the engine knows that. A client that sends no such name (HTTP/1.0, or
    a fixed address) is known by its address.
    """

    def __init__(self, pool: InstanceLookup) -> None:
        self.nameless: dict[str, int] = {}
        self.accounts: dict[Instance, Account] = {}
        self._pool = pool

    def find(self, host: str, address: str) -> Instance | None:
        """The instance that ``host`` names. It must have this ``address``, or no known one."""
        instance = self._pool.by_host.get(host)
        if instance is None:
            return None if host.endswith(".scf") else self._pool.by_peer.get(address)
        container = instance.container
        return instance if container is not None and container.peer in (None, address) else None

    def knows(self, address: str) -> bool:
        """Whether an instance has this address."""
        return address in self._pool.by_peer


class Caller:
    """One connection. It has an address, and an instance after its first head."""

    __slots__ = ("_account", "_address", "_callers", "_counted", "host", "instance")

    def __init__(self, callers: Callers, address: str) -> None:
        self.instance: Instance | None = None
        self.host = "\0"
        self._callers = callers
        self._address = address
        self._account: Account
        self._counted = True
        callers.nameless[address] = callers.nameless.get(address, 0) + 1

    @property
    def one_too_many(self) -> bool:
        """Whether too many connections of its address have not named their instance."""
        return self._callers.nameless[self._address] > NAMELESS_CONNECTIONS

    @property
    def expected(self) -> bool:
        """Whether it comes from an instance's own address."""
        return self._callers.knows(self._address)

    def identify(self, host: str) -> None:
        """Find the instance of a request. ``Refused`` for strangers, and for one connection too
        many."""
        instance = self._callers.find(host, self._address)
        if instance is None:
            raise Refused(FORBIDDEN)
        if instance is not self.instance:
            account = self._callers.accounts.setdefault(instance, Account())
            if account.connections >= CONNECTIONS:
                raise Refused(CROWDED)
            account.connections += 1
            self.leave()
            self.instance, self._account = instance, account
        self.host = host

    def hold(self, count: int) -> None:
        """Count more bytes of a body, or fewer. ``Refused`` if they are too many."""
        self._account.held += count
        if self._account.held > HELD_BYTES and count > 0:
            raise Refused(HOARDING)

    def leave(self) -> None:
        """The connection has ended, or becomes another instance's."""
        if self._counted:
            self._counted = False
            self._callers.nameless[self._address] -= 1
            if not self._callers.nameless[self._address]:
                del self._callers.nameless[self._address]
        if self.instance is not None:
            self._account.connections -= 1
            if not self._account.connections:
                del self._callers.accounts[self.instance]
            self.instance = None
