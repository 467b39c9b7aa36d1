"""Who is connected to the runtime API, and how much of it each instance may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from api.runtime.head import Refused
from api.runtime.replies import CROWDED, FORBIDDEN, HOARDING
from sandbox.limits import RESPONSE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.instance.instance import Instance

#: Connections of one instance.
CONNECTIONS = 64
#: Connections of one address that have not said yet whose they are. Instances may share one,
#: where addresses are translated.
NAMELESS_CONNECTIONS = 256
#: Bytes of unfinished bodies of one instance, over all its connections. A runtime has one event
#: at a time; what it sends beside its result are late results of events before.
HELD_BYTES = 4 * RESPONSE_BYTES


class InstanceLookup(Protocol):
    """The pool, as the runtime API sees it: instances by ``runtime_host`` and by ``peer``."""

    @property
    def by_host(self) -> Mapping[str, Instance]:
        """Instances by the host name that each was given."""
        ...

    @property
    def by_peer(self) -> Mapping[str, Instance]:
        """Instances by their own address."""
        ...


class Account:
    """What one instance has at present. ``held`` in bytes."""

    __slots__ = ("connections", "held")

    def __init__(self) -> None:
        self.connections = 0
        self.held = 0


class Callers:
    """Tells whose a connection is, and counts: by address first, by instance once that is known.

    An instance is known by the host name it was given, which is also its secret. The name counts
    only from that instance's own address, where the engine can tell that. A client that sends no
    such name (HTTP/1.0, a client with an address built in) is known by its address.
    """

    def __init__(self, pool: InstanceLookup) -> None:
        self.nameless: dict[str, int] = {}
        self.accounts: dict[Instance, Account] = {}
        self._pool = pool

    def find(self, host: str, address: str) -> Instance | None:
        """The instance that ``host`` names, if ``address`` is its own or it has none."""
        instance = self._pool.by_host.get(host)
        if instance is None:
            return None if host.endswith(".scf") else self._pool.by_peer.get(address)
        container = instance.container
        return instance if container is not None and container.peer in (None, address) else None

    def knows(self, address: str) -> bool:
        """Whether an instance has this address."""
        return address in self._pool.by_peer


class Caller:
    """One connection: an address, and an instance once its first head is complete."""

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
        """Whether too many of its address have not said whose they are."""
        return self._callers.nameless[self._address] > NAMELESS_CONNECTIONS

    @property
    def expected(self) -> bool:
        """Whether it comes from an instance's own address."""
        return self._callers.knows(self._address)

    def identify(self, host: str) -> None:
        """See whose request this is. ``Refused`` for strangers, and for one connection too many."""
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
        """Keep so many bytes more of a body, or fewer. ``Refused`` when they get too many."""
        self._account.held += count
        if self._account.held > HELD_BYTES and count > 0:
            raise Refused(HOARDING)

    def leave(self) -> None:
        """It is not there any more, or it is another instance's."""
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
