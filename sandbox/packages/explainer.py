"""Says of an instance whose bootstrap did not start why that was, from its package and layers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from sandbox.errors import SandboxError
from sandbox.tasks import TaskOwner
from scf_sandbox import preflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.packages.package import PackageStore

    #: Takes the explanation, or an empty text where none is known.
    Tell = Callable[[str], None]

log = structlog.get_logger()

#: An answer waits for an explanation, so it does not wait long. Seconds.
PATIENCE_S = 3.0
#: A function that does not start is mostly tried again: so many explanations are kept.
KEPT = 64
#: So many packages are looked at at once.
READERS = 2


class RunCode(Protocol):
    """What was to run: the digests of a package, and of layers in the order of their binding."""

    @property
    def code_digest(self) -> str:
        """Its package."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Its layers."""
        ...


class StartEnd(Protocol):
    """How it ended: with ``code``, or with the kernel's ``errno`` at ``stage`` before it ran."""

    @property
    def code(self) -> int | None:
        """Its exit code; 128 + N for signal N; None when it is unknown."""
        ...

    @property
    def errno(self) -> int:
        """Linux's; 0 when it ran."""
        ...

    @property
    def stage(self) -> str:
        """``fork``, ``setup`` or ``exec``; empty when it ran."""
        ...


class _Question(NamedTuple):
    code_digest: str
    layers: tuple[str, ...]
    code: int | None
    errno: int
    stage: str
    output: str


class StartExplainer:
    """Explains on the event loop, reads in threads. The same question is looked into once."""

    def __init__(self, packages: PackageStore, patience_s: float = PATIENCE_S) -> None:
        """Packages run in CentOS 7.6, until ``runs_in`` says otherwise."""
        self._packages = packages
        self._patience_s = patience_s
        self._base = preflight.CENTOS_7
        self._known: OrderedDict[_Question, str] = OrderedDict()
        self._asked: dict[_Question, list[Tell]] = {}
        self._readers = asyncio.Semaphore(READERS)
        self._tasks = TaskOwner()

    def runs_in(self, name: str) -> None:
        """Packages run in another system than CentOS 7.6, of which only the name is known."""
        self._base = preflight.BaseImage(name, ceilings=MappingProxyType({}))

    def explain(self, spec: RunCode, exit: StartEnd, output: str, tell: Tell) -> None:
        """Call ``tell`` once, on the event loop, at once or within some seconds.

        ``output`` is the last of what was written. The explanation is one line: what is wrong, and
        what to do. It is empty where the end says all there is.
        """
        if not exit.errno and not preflight.may_tell(exit.code, output):
            tell("")
            return
        question = _Question(
            spec.code_digest, spec.layers, exit.code, exit.errno, exit.stage,
            "" if exit.errno else output,
        )  # fmt: skip
        if question in self._known:
            self._known.move_to_end(question)
            tell(self._known[question])
        elif question in self._asked:
            self._asked[question].append(tell)
        else:
            self._asked[question] = [tell]
            self._tasks.start(self._look_into(question))

    async def close(self) -> None:
        """Whoever still waits is told nothing."""
        await self._tasks.cancel()

    async def _look_into(self, question: _Question) -> None:
        text = ""
        try:
            async with asyncio.timeout(self._patience_s), self._readers:
                text = await asyncio.to_thread(self._answer, question)
            self._known[question] = text
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        except Exception as error:  # whatever it is: an invocation waits to be told
            expected = isinstance(error, SandboxError | TimeoutError)
            log.warning(
                "start_not_explained",
                digest=question.code_digest,
                error=repr(error),
                exc_info=None if expected else error,
            )
        finally:
            waiting = self._asked.pop(question)
        for tell in waiting:
            tell(text)

    def _answer(self, question: _Question) -> str:
        with ExitStack() as stack:
            package, *layers = (
                stack.enter_context(self._packages.viewed(digest))
                for digest in (question.code_digest, *question.layers)
            )
            if question.errno:
                return preflight.explain_exec(
                    package, question.errno, question.stage, layers, self._base
                ).message
            found = preflight.explain_exit(
                package, question.code, question.output, layers, self._base
            )
            return found.message if found else ""
