"""How much concurrency is in use, and against which quota (contract 6: CONC, RESV, PROV).

Concurrency is counted in memory: an event under way counts the MemorySize of its version, and so
does each provisioned instance, be it busy or not. A function with a reserved quota has that for
itself; all others of a namespace share what is left of its total.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.functions.model import Function
    from sandbox.functions.registry import Key
    from sandbox.invocation import Invocation


class Functions(Protocol):
    """The part of the registry that quotas need. ``generation`` grows with every change."""

    @property
    def generation(self) -> int: ...

    def find(self, namespace: str, name: str) -> Function | None: ...

    def in_namespace(self, namespace: str) -> list[Function]: ...


class Shares(NamedTuple):
    """How the total of a namespace is divided, MB. ``provisioned`` is what functions without a
    reserved quota have provisioned, out of ``shared``."""

    total: int
    reserved: int
    provisioned: int

    @property
    def shared(self) -> int:
        return self.total - self.reserved


class _Use:
    """What one function has under way: by version, the number of events and the memory of each.

    ``charged`` is what it takes of the shared quota beside its provisioned instances, MB.
    """

    __slots__ = ("busy", "charged")

    def __init__(self) -> None:
        self.busy: dict[str, tuple[int, int]] = {}
        self.charged = 0

    def beyond(self, provisioned: Mapping[str, int]) -> int:
        """The memory of the events that provisioned instances cannot take, MB."""
        return sum(
            max(0, count - provisioned.get(version, 0)) * memory_mb
            for version, (count, memory_mb) in self.busy.items()
        )


class Quotas:
    """Lets events begin, or says which quota stands against it.

    It is on the way of every event, so it only adds and compares: how a namespace's total is
    divided is worked out again only when a function or the total has changed. One event loop.
    """

    def __init__(self, functions: Functions, total_mb: Callable[[str], int]) -> None:
        """``total_mb`` gives the total of a namespace."""
        self._functions = functions
        self._total_mb = total_mb
        self._uses: dict[Key, _Use] = {}
        self._charged: dict[str, int] = {}
        self._shares: dict[str, tuple[int, Shares]] = {}

    def admit(self, invocation: Invocation) -> str | None:
        """Count an event in until it has ended. None, or what it is to be refused with (432)."""
        function, version = invocation.function, invocation.version
        key, name = function.key, version.version
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _Use()
        count = use.busy[name][0] if name in use.busy else 0
        use.busy[name] = (count + 1, version.config.memory_mb)
        self._charge(key, function, use)
        refusal = self._refusal(function, use)
        if refusal is None:
            invocation.future.add_done_callback(partial(self._ended, key, name))
        else:
            self._ended(key, name)
        return refusal

    def shares(self, namespace: str) -> Shares:
        """How the total of a namespace is divided at present."""
        generation, total = self._functions.generation, self._total_mb(namespace)
        known = self._shares.get(namespace)
        if known is not None and known[0] == generation and known[1].total == total:
            return known[1]
        functions = self._functions.in_namespace(namespace)
        reserved = sum(f.reserved_mb or 0 for f in functions)
        provisioned = sum(f.provisioned_mb for f in functions if f.reserved_mb is None)
        shares = Shares(total, reserved, provisioned)
        self._shares[namespace] = (generation, shares)
        return shares

    def _refusal(self, function: Function, use: _Use) -> str | None:
        reserved = function.reserved_mb
        if reserved is None:
            shares = self.shares(function.namespace)
            if self._charged[function.namespace] + shares.provisioned <= shares.shared:
                return None
            quota = f"region unreserved quota {shares.shared} MB"
        else:
            # 0 is off, for provisioned instances as well.
            if reserved and function.provisioned_mb + use.beyond(function.provisioned) <= reserved:
                return None
            quota = f"reserved quota {reserved} MB"
        return f"Function [ {function.name} ] concurrency exceeded {quota}"

    def _charge(self, key: Key, function: Function | None, use: _Use) -> None:
        """Bring up to date what a function takes of the shared quota; None: it is deleted."""
        provisioned = function.provisioned if function is not None else {}
        shares = function is None or function.reserved_mb is None
        now = use.beyond(provisioned) if shares else 0
        self._charged[key[0]] = self._charged.get(key[0], 0) + now - use.charged
        use.charged = now

    def _ended(self, key: Key, version: str, _future: object = None) -> None:
        use = self._uses[key]
        count, memory_mb = use.busy[version]
        if count > 1:
            use.busy[version] = (count - 1, memory_mb)
        else:
            del use.busy[version]
        self._charge(key, self._functions.find(*key), use)
        if not use.busy:
            del self._uses[key]
