"""How much concurrency is in use, and against which quota (contract 6: CONC, RESV, PROV).

Concurrency is counted in memory: an event under way counts the MemorySize of its version, and so
does each provisioned instance, be it busy or not. A function with a reserved quota has that for
itself; all others of a namespace share what is left of its total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.functions.model import Function, FunctionVersion


class FunctionIndex(Protocol):
    """The part of the registry that quotas read. No method waits."""

    @property
    def generation(self) -> int:
        """Grows with every change of any function."""
        ...

    def find(self, namespace: str, name: str) -> Function | None:
        """The function, or None."""
        ...

    def in_namespace(self, namespace: str) -> list[Function]:
        """Every function of a namespace."""
        ...


class Demand(NamedTuple):
    """How many events of a version are under way (running, or waiting for an instance)."""

    function: str
    version: str
    memory_mb: int
    events: int


class Demands(Protocol):
    """The part of the pool that quotas need."""

    @property
    def capacity_mb(self) -> int:
        """The memory of all instances that could run at the same time on this machine."""
        ...

    def demands(self, namespace: str) -> Iterable[Demand]:
        """What is under way in a namespace. A version may come more than once."""
        ...


class Shares(NamedTuple):
    """How the total of a namespace is divided, MB. ``provisioned`` is what functions without a
    reserved quota have provisioned, out of ``shared``."""

    total: int
    reserved: int
    provisioned: int

    @property
    def shared(self) -> int:
        return self.total - self.reserved


class Quotas:
    """Says which quota stands against an event, if any does.

    It is asked on the way of every event. So events are counted only where a quota could be
    exceeded at all: not for functions that share more than this machine could ever run. And how a
    total is divided is worked out again only when a function or the total has changed.
    """

    def __init__(
        self, functions: FunctionIndex, total_mb: Callable[[str], int], demands: Demands
    ) -> None:
        """``total_mb`` gives the total of a namespace."""
        self._functions = functions
        self._total_mb = total_mb
        self._demands = demands
        self._shares: dict[str, tuple[int, Shares]] = {}

    def refusal(self, function: Function, version: FunctionVersion) -> str | None:
        """What one more event of a version is to be refused with (432), or None."""
        reserved = function.reserved_mb
        if reserved is not None:
            # 0 is off, for provisioned instances as well.
            if reserved and self._wanted(function, version) <= reserved:
                return None
            quota = f"reserved quota {reserved} MB"
        else:
            shares = self.shares(function.namespace)
            if shares.shared >= self._demands.capacity_mb:
                return None
            if self._wanted(function, version) <= shares.shared:
                return None
            quota = f"region unreserved quota {shares.shared} MB"
        return f"Function [ {function.name} ] concurrency exceeded {quota}"

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

    def _wanted(self, function: Function, version: FunctionVersion) -> int:
        """What the functions under the same quota would use with one more event, MB."""
        alone = function.reserved_mb is not None
        events: dict[tuple[str, str], int] = {}
        memory: dict[tuple[str, str], int] = {}
        more = Demand(function.name, version.version, version.config.memory_mb, 1)
        for demand in (*self._demands.demands(function.namespace), more):
            key = (demand.function, demand.version)
            events[key] = events.get(key, 0) + demand.events
            memory[key] = demand.memory_mb
        wanted = function.provisioned_mb if alone else self.shares(function.namespace).provisioned
        for key, count in events.items():
            owner = self._functions.find(function.namespace, key[0])
            reserved = owner is not None and owner.reserved_mb is not None
            if key[0] == function.name if alone else not reserved:
                ready = owner.provisioned.get(key[1], 0) if owner is not None else 0
                wanted += max(0, count - ready) * memory[key]
        return wanted
