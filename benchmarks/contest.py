"""What all measures of a run share, and the order in which the contestants take turns."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from benchmarks import ours
from benchmarks.containers import Containers, EngineFailed, sweep
from benchmarks.load import Load, wrk, wrk_tolerant
from benchmarks.machine import ROOT
from benchmarks.programs import package
from benchmarks.rows import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.client import Request
    from benchmarks.earlier import Earlier
    from benchmarks.ours import Sandbox
    from benchmarks.peers.rie import Rie

T = TypeVar("T")

EVENT = '{"key1": "test value 1"}'
FUNCTION = "echo"


@dataclass
class Contest:
    """One run of the benchmark. The measures start their contestants with it.

    ``directory`` is removed after the run, ``cache`` is kept. ``code`` holds the compiled
    bootstrap. ``rounds`` is the number of rounds of each measure. ``seconds`` is the time of load
    per round and contestant. A measure begins no round after its ``deadline``.
    """

    directory: Path
    cache: Path
    code: Path
    rie: Rie
    rounds: int
    seconds: int
    short: bool
    deadline: float = float("inf")
    label: str = field(default_factory=lambda: f"bench-{secrets.token_hex(4)}")
    labels: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.containers = Containers(self.label)
        self.labels.append(self.label)
        self.package = package({"bootstrap": (self.code / "bootstrap").read_bytes()})

    @contextmanager
    def host(self, commit: Earlier | None = None, /, **settings: str) -> Iterator[Sandbox]:
        """A control plane on the host, with an empty store unless ``SCF_DATA_DIR`` names one.
        This commit's, or an earlier one's.

        It has its places from the beginning, none unless ``SCF_PLACES`` says how many. Making them
        takes the engine most of the machine, for the first half minute of a sandbox.
        """
        label = self._new_label()
        places = settings.setdefault("SCF_PLACES", "0")
        if commit:
            settings["SCF_INSTANCE_IMAGE"] = commit.image
        root = commit.root if commit else ROOT
        with ours.on_host(label, self.directory / label, root, **settings) as plane:
            if places != "0":
                plane.await_places(int(places))
            yield plane

    @contextmanager
    def compose(self, *, published: bool = False, **settings: str) -> Iterator[Sandbox]:
        """A control plane that compose runs, see ``ours.by_compose``. It makes no places."""
        settings["SCF_PLACES"] = "0"
        with ours.by_compose(self._new_label(), published=published, **settings) as plane:
            yield plane

    def interleave(self, contestants: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Measure every contestant once per round, for all rounds that begin before the
        deadline."""
        found: dict[str, list[T]] = {name: [] for name in contestants}
        slowest = 0.0
        for _ in range(self.rounds):
            began = time.monotonic()
            if began + slowest > self.deadline:
                break
            for name, measure in contestants.items():
                found[name].append(measure())
            slowest = max(slowest, time.monotonic() - began)
        return found

    def loads(self, contestants: Mapping[str, tuple[Request, int]]) -> dict[str, list[Load]]:
        """``interleave`` under load. A contestant is a request and a number of clients."""
        for request, clients in contestants.values():
            wrk_tolerant(
                request, clients=clients, seconds=1
            )  # warm up, so that no contestant is measured cold

        def turn(request: Request, clients: int) -> Callable[[], Load]:
            return lambda: wrk(request, clients=clients, seconds=self.seconds)

        return self.interleave({name: turn(*who) for name, who in contestants.items()})

    def sweep(self) -> None:
        """Remove everything that this run made in the engine. ``EngineFailed`` if anything
        stays."""
        failed = []
        for label in self.labels:
            try:
                sweep(label)
            except EngineFailed as error:
                failed.append(str(error))
        if failed:
            raise EngineFailed("; ".join(failed))

    def _new_label(self) -> str:
        label = f"{self.label}-{len(self.labels)}"
        self.labels.append(label)
        return label


def rates(name: str, loads: Sequence[Load]) -> Series:
    return Series(name, "/s", tuple(load.rate for load in loads))


def latencies(name: str, loads: Sequence[Load]) -> Series:
    """Medians of the latency."""
    return Series(name, "ms", tuple(load.p50_ms for load in loads))
