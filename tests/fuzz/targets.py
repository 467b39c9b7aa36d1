"""The table of all targets."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Takes one input. Any exception is a bug.
    Take = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """``module`` has a function ``make``, which may be asked for once in a process."""

    name: str
    what: str
    module: str
    longest: int = 4096

    def make(self) -> Take:
        """What takes one input."""
        take: Take = getattr(import_module(f"tests.fuzz.{self.module}"), self.name)()
        return take


TARGETS = (
    Target("runtime", "the runtime API, split anywhere: the same answers as whole", "wire"),
    Target("frames", "what an init says, split anywhere: the same messages", "wire"),
    Target("forms", "requests of the cloud API in every form", "texts"),
    Target("signatures", "signatures of all three schemes", "texts"),
    Target("archives", "packages: refused, or unpacked below their directory", "archives", 65536),
    Target("cron", "timer expressions", "texts", 128),
    Target("requests", "the control port's applications as a whole", "requests"),
    Target("init", "the instance's init, with sanitizers, by its own socket", "init", 512),
)
BY_NAME = {target.name: target for target in TARGETS}
