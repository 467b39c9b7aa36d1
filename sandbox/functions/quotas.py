"""Counts the concurrency in use, and refuses events above a quota (contract 6: CONC, RESV, PROV).

Concurrency is counted in memory. An event under way counts the MemorySize of its version. So does
each provisioned instance, busy or not. A function with a reserved quota has that for itself. All
others of a namespace share what is left of its total.
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
    """The number of events of a version that run or wait for an instance. ``memory_mb`` of each."""

    function: str
    version: str
    memory_mb: int
    events: int


class Demands(Protocol):
    """The part of the pool that quotas need."""

    @property
    def capacity_mb(self) -> int:
        """The memory of all instances that fit on this machine at the same time, MB."""
        ...

    def demands(self, namespace: str) -> Iterable[Demand]:
        """The events under way in a namespace. A version may come more than once."""
        ...


class Shares(NamedTuple):
    """How the total of a namespace is divided, MB.

    ``provisioned`` is the part of ``shared`` that provisioned instances take.
    """

    total: int
    reserved: int
    provisioned: int

    @property
    def shared(self) -> int:
        """What functions without a reserved quota have together."""
        return self.total - self.reserved


class Quotas:
    """Says whether a quota refuses an event. The invoker asks it for every event.

    To be fast, it counts events only where a quota can be exceeded at all: not where functions
    share more than this machine can run. It divides a total again only after a change of a function
    or of the total.
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
        """The message with which one more event of a version is refused (432), or None."""
        reserved = function.reserved_mb
        if reserved is not None:
            # 0 shuts the function off, its provisioned instances too.
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
        """How the total of a namespace is divided now."""
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
        """The memory that the functions of the same quota use with one more event, MB."""
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
