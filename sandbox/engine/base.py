"""What an engine is: it makes instances run somewhere, and knows nothing else of the sandbox.

To write one, implement ``Engine`` and ``Container``; ``sandbox/engine/process`` is the smaller
example. An engine is a callable ``(settings, packages) -> Engine`` that a package names by an entry
point of the group ``scf_sandbox.engines``; ``SCF_ENGINE`` chooses it by that name.

The order of calls. ``open`` comes first and ``close`` last; ``close`` comes also where ``open``
failed. For a package: ``expect`` and ``take`` are hints and may be missing; ``prepare`` may be
missing too; ``launch`` may then make it ready itself; ``forget`` comes when no function uses it.
For an instance: ``launch``, ``release``, any number of ``flush``, ``watch`` and ``send_signal``,
then ``destroy``; the ``Sink`` hears everything else from the release on, and ``ended`` once.

What is hard about an instance is done by its init (``init/README.md``), a static program that the
engine starts in the instance's place, as its first process, in the directory of the code. It dials
the runtime API (or has one end of a socket pair), runs the bootstrap when it is told to, passes
its output on with exact borders, watches its memory and tells its end. ``InitLink``
(``sandbox.engine.init_link``) speaks with it and is most of a ``Container``: inherit from it, add
the names and ``destroy``. So an engine has to create, start and remove, and no more::

    container = MyContainer(sink, runtime.links.heard)
    secret = runtime.links.expect(container.runtime_host, container)
    ... start init, with SCF_INIT_ADDRESS=<address>:<settings.runtime_port>, SCF_INIT_SECRET=secret
    await container.stands_by  # with a limit, and forget the name when it is over

Everything is called on the event loop, and the methods that are not ``async`` must not block.
Calls overlap: twenty launches may be under way, and ``forget`` of the same package beside them.
Errors are ``EngineError``, with the ``kind`` that says what went wrong and a message that says what
to do next. An engine translates its library's errors in one place, by their types and codes.

``sandbox.engine.artifacts`` does the bookkeeping of packages: made once, counted, dropped.

The suite that every engine passes is ``tests/engine/test_contract.py`` in the sandbox's source. A
test module of one's own runs it, with the source's root in pytest's ``pythonpath``::

    from tests.engine.engine_kit import opened
    from tests.engine.test_contract import *

    @pytest.fixture
    async def rig(tmp_path):
        settings = Settings(data_dir=tmp_path, engine="mine")
        async with opened(MyEngine, settings, leftovers=nothing_of_mine_is_left) as rig:
            yield rig
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    import signal
    import socket
    from collections.abc import Callable, Mapping

    from sandbox.engine.init_links import InitLinks
    from sandbox.packages.package import Package


class Listen(Protocol):
    """Opens the runtime API on one more IPv4 address of the machine that instances see.

    An engine whose instances reach the control plane at one address for all opens that one, in
    ``Engine.open``. The engine closes what it opened.
    """

    async def __call__(
        self, address: str, listener: socket.socket | None = None
    ) -> asyncio.AbstractServer:
        """At the port ``settings.runtime_port``, or on a socket that is there already.

        ``OSError`` when that cannot be done.
        """
        ...


@dataclass(frozen=True, slots=True)
class RuntimeAccess:
    """The runtime API, as an engine sees it: where it can be opened, and whose inits it expects."""

    listen: Listen
    links: InitLinks


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """Everything an engine needs to start one instance.

    ``instance_id`` is 32 random hex digits: the instance's secret and its name. ``layers`` are
    package digests in bind order. ``environment`` lacks only what ``Engine.launch`` adds.
    """

    instance_id: str
    namespace: str
    function_name: str
    version: str
    code_digest: str
    memory_mb: int
    environment: dict[str, str]
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance's process ended. ``code`` is None when the engine could not tell.

    A process killed by signal N has code 128 + N, as a shell and an init process report it.
    ``reason`` completes the sentence "the bootstrap ended ..." where there is no code. ``errno``
    is the kernel's where the bootstrap never ran: ``stage`` is ``exec`` where it refused the file,
    ``fork`` or ``setup`` where it was short of something.
    """

    code: int | None
    oom_killed: bool = False
    reason: str = ""
    errno: int = 0
    stage: str = ""

    def __str__(self) -> str:
        if self.errno:
            return f"before it ran: {os.strerror(self.errno)} (at {self.stage})"
        if self.code is None:
            return self.reason or "for an unknown reason"
        if self.code > 128:
            return f"by signal {self.code - 128}"
        return f"with exit code {self.code}"


class Sink(Protocol):
    """The instance, as its container sees it. The engine calls it on the event loop."""

    def output(self, data: bytes) -> None:
        """Bytes the process wrote to stdout or stderr, in the order of writing."""
        ...

    def discarded(self, size: int) -> None:
        """So many bytes of its output were left out here: more than the platform keeps."""
        ...

    def memory(self, peak: int, oom_kills: int) -> None:
        """Its memory was looked at: ``peak`` is the most that was seen so far, in bytes (anonymous
        and shared), ``oom_kills`` how many of its processes were killed for want of it so far."""
        ...

    def ended(self, exit: Exit) -> None:
        """The process is gone, and all its output was passed on.

        Called once in any case, also after ``destroy`` and when the engine is lost: an event may
        wait for it. What the bootstrap left running does not hold it up.
        """
        ...


class Container(Protocol):
    """One started container (or process) in which a bootstrap waits to be released.

    Plain attributes will do for the properties.
    """

    @property
    def container_id(self) -> str:
        """For people: under this name the engine's own tools know it."""
        ...

    @property
    def runtime_host(self) -> str:
        """The name under which the runtime API knows the instance: its ``Host``.

        No two instances have the same at a time, and it cannot be guessed. An engine may give it
        to a later instance with the same ``peer``.
        """
        ...

    @property
    def peer(self) -> str | None:
        """The address that tells its connections from others': where they come from, or, on
        loopback, where they go to.

        None where the control plane does not see it (addresses are translated on the way): then
        whoever knows ``runtime_host`` is the instance.
        """
        ...

    @property
    def node(self) -> str:
        """Where it runs: a key of ``Engine.capacity``."""
        ...

    def release(self) -> None:
        """Let the bootstrap run. Called once at most."""
        ...

    def flush(self, done: Callable[[], None]) -> None:
        """Ask for a border: ``done`` is called, once, when the sink has heard all that the process
        wrote until now, and nothing that it writes later; also when the process is gone.

        Answers come in the order of asking, within 1 ms on a machine that is not at its limit.
        """
        ...

    def settled(self) -> bool:
        """Whether the sink has heard all that the process wrote until now, as far as can be seen
        at once. False is no news: ask by ``flush``."""
        ...

    def watch(self, *, closely: bool) -> None:
        """Look at its memory every 50 ms, as from the release on, or only at flushes."""
        ...

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the bootstrap itself. ``EngineError`` when it is not there (any more)."""
        ...

    async def destroy(self) -> bool:
        """End it, leave nothing of it behind. Idempotent; may be called at any time.

        False where the engine cannot say that it is gone: call it again later.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What ``/healthz`` and the console say of the engine.

    ``version`` is of the software that runs the instances, ``image`` what they start from,
    ``base`` their system. Parity with CentOS 7.6 has two parts: ``abi_parity`` is of the binary
    interface of its C and C++ libraries, ``tools_parity`` of its programs. Where one is False,
    ``note`` says so; ``differences`` names the programs that are others. ``coming`` says what will
    take the image's place, and how far that is. ``tmp`` says what ``/tmp`` lies on, and how exact
    MemorySize is; ``beside_mb`` is the memory in MB that an instance may take beside its
    MemorySize. ``details`` are pairs for people.
    """

    name: str
    version: str
    image: str
    base: str
    abi_parity: bool
    note: str = ""
    tmp: str = ""
    beside_mb: int = 0
    details: dict[str, str] = field(default_factory=dict)
    tools_parity: bool = False
    differences: tuple[str, ...] = ()
    coming: str = ""

    @property
    def os_parity(self) -> bool:
        """Whether the system is CentOS 7.6 in both parts."""
        return self.abi_parity and self.tools_parity


class Engine(Protocol):
    """Where instances run: on this machine, or on several."""

    #: Complete after ``open``.
    info: EngineInfo

    async def open(self, runtime: RuntimeAccess) -> None:
        """Connect and sweep what an earlier run of the installation left."""
        ...

    def capacity(self) -> Mapping[str, int]:
        """The memory of each node that can take instances, MB; known after ``open``.

        A node is one machine; an engine of one machine has one. The pool spreads its budget over
        the sum: whether a single instance fits is the engine's to decide in ``launch``.
        """
        ...

    def expect(self, code_digest: str) -> None:
        """A package is being checked, and will have to be prepared if it is good: begin with what
        needs nothing of it. Never fails; ``forget`` takes it back."""
        ...

    def take(self, package: Package) -> None:
        """What was expected is good, and soon kept: begin to make it ready. Never fails;
        ``prepare`` waits for it, ``forget`` takes it back."""
        ...

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        """Make code and layers ready to be mounted. Idempotent.

        An engine that does not know yet on which node they will be needed may return at once, and
        do it in ``launch``, which then raises what this would have raised.
        """
        ...

    async def forget(self, code_digest: str) -> None:
        """Drop what was made ready for a package that no function uses any more. Idempotent.

        ``EngineError`` ``IN_USE`` while an instance runs with it: called again later.
        """
        ...

    async def launch(self, spec: InstanceSpec, sink: Sink) -> Container:
        """Start a container that waits for its release. What fails leaves nothing behind.

        The bootstrap's environment is the spec's and ``SCF_RUNTIME_API`` (the ``runtime_host``),
        ``SCF_RUNTIME_API_PORT``, and the host's name in ``NO_PROXY`` and ``no_proxy``. The code is
        at ``/var/user`` and the layers at ``/opt``, read-only.
        """
        ...

    async def close(self) -> None:
        """End everything that was started and leave nothing behind."""
        ...
