"""What the engine tests share: packages to run, a sink that remembers, a rig around an engine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.runtime.server import RuntimeServer
from api.runtime.upgrade import init_upgrades
from sandbox.clock import SystemClock
from sandbox.engine.base import Container, Engine, Exit, InstanceSpec, RuntimeAccess
from sandbox.engine.init_links import InitLinks
from sandbox.feed import Feed, Recorder
from sandbox.functions.model import Function, FunctionConfig, FunctionVersion
from sandbox.instance.environment import FIXED
from sandbox.instance.instance import Instance
from sandbox.instance.ports import InstanceContext
from sandbox.invocation import Invocation
from sandbox.packages.model import Bootstrap, CodeRef
from sandbox.packages.package import PackageStore
from tests.support.records import Kept
from tests.support.waiting import DEADLINE_S, eventually
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sandbox.settings import Settings


#: What the static bash of the quick stand-in image has to say about its locale.
LOCALE_WARNING = re.compile(rb"^.*warning: setlocale.*\n", re.MULTILINE)


class Watcher:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.exits: list[Exit] = []
        self.left_out = 0
        self.peak = 0
        self.oom_kills = 0
        self._data = b""

    def output(self, data: bytes) -> None:
        self._data += data

    def discarded(self, size: int) -> None:
        self.left_out += size

    def memory(self, peak: int, oom_kills: int) -> None:
        self.peak, self.oom_kills = peak, oom_kills

    @property
    def data(self) -> bytes:
        return LOCALE_WARNING.sub(b"", self._data)

    @property
    def lines(self) -> list[str]:
        return self.data.decode().splitlines()

    def ended(self, exit: Exit) -> None:
        self.exits.append(exit)

    async def said(self, line: str) -> None:
        await eventually(lambda: line in self.lines)

    async def end(self) -> Exit:
        await eventually(lambda: bool(self.exits))
        return self.exits[0]

    async def border(self, container: Container) -> None:
        """Until it has heard all that was written until now."""
        passed = asyncio.Event()
        container.flush(passed.set)
        await asyncio.wait_for(passed.wait(), DEADLINE_S)


@dataclass
class Directory:
    """The instances that the runtime API knows; an owner to whom nothing needs to be told."""

    by_host: dict[str, Instance] = field(default_factory=dict)
    by_peer: dict[str, Instance] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)

    def instance_has_room(self, instance: Instance) -> None: ...

    def instance_stopping(self, instance: Instance) -> None: ...

    def invocation_unserved(self, invocation: Invocation) -> None: ...

    def lines(self, instance: Instance) -> list[str]:
        own = [c for c in self.kept.chunks if c.instance_id == instance.spec.instance_id]
        lines = [text for chunk in own for _, text in chunk.lines]
        return [line for line in lines if "warning: setlocale" not in line]

    async def said(self, instance: Instance) -> None:
        """Wait until the instance has written a line."""
        await eventually(lambda: bool(self.lines(instance)))


class Rig:
    """An open engine with a package store and the runtime API."""

    def __init__(self, engine: Engine, settings: Settings, packages: PackageStore) -> None:
        self.engine = engine
        self.settings = settings
        self.packages = packages
        self.directory = Directory()
        links = InitLinks()
        self.runtime = RuntimeServer(
            self.directory, settings.runtime_port, upgrades=init_upgrades(links)
        )
        self.access = RuntimeAccess(self.runtime.listen, links)
        #: Where the code is, as the function sees it: not a fixed place without isolation.
        self.fixed_places = True

    def save(self, bootstrap: str, **files: str | bytes) -> str:
        """Keep a package of a bash bootstrap and other files; its digest."""
        content: dict[str, str | bytes] = {"bootstrap": f"#!/bin/bash\n{bootstrap}\n", **files}
        return self.packages.save(zip_of(content, dict.fromkeys(files, 0o644))).digest

    def spec(
        self,
        digest: str,
        *,
        function_name: str = "hello",
        memory_mb: int = 128,
        environment: dict[str, str] | None = None,
        layers: tuple[str, ...] = (),
    ) -> InstanceSpec:
        return InstanceSpec(
            instance_id=secrets.token_hex(16),
            namespace="default",
            function_name=function_name,
            version="$LATEST",
            code_digest=digest,
            memory_mb=memory_mb,
            environment={**FIXED, "MARK": self.settings.installation, **(environment or {})},
            layers=layers,
        )

    async def launch(
        self,
        bootstrap: str,
        *,
        function_name: str = "hello",
        memory_mb: int = 128,
        environment: dict[str, str] | None = None,
        layers: tuple[str, ...] = (),
        files: dict[str, bytes] | None = None,
    ) -> tuple[Container, Watcher]:
        watcher = Watcher()
        spec = self.spec(
            self.save(bootstrap, **(files or {})),
            function_name=function_name,
            memory_mb=memory_mb,
            environment=environment,
            layers=layers,
        )
        return await self.engine.launch(spec, watcher), watcher

    async def run(self, bootstrap: str, *, memory_mb: int = 128) -> tuple[Exit, list[str]]:
        """Run a bootstrap to its end: how it ended, and what it wrote."""
        container, watcher = await self.launch(bootstrap, memory_mb=memory_mb)
        container.release()
        end = await watcher.end()
        await container.destroy()
        return end, watcher.lines

    async def instance(self, bootstrap: str, function_name: str = "hello") -> Instance:
        """A real instance, standing by, that the runtime API knows."""
        spec = self.spec(self.save(bootstrap), function_name=function_name)
        recorder = Recorder(self.directory.kept, Feed())
        context = InstanceContext(asyncio.get_running_loop(), SystemClock(), recorder)
        instance = Instance(
            spec, timeout_s=20, init_timeout_s=20, owner=self.directory, context=context
        )
        container = await self.engine.launch(spec, instance)
        self.directory.by_host[container.runtime_host] = instance
        if container.peer is not None:
            self.directory.by_peer[container.peer] = instance
        instance.attach(container)
        return instance


@contextlib.asynccontextmanager
async def opened(
    make: Callable[[Settings, PackageStore], Engine],
    settings: Settings,
    leftovers: Callable[[], list[str]],
) -> AsyncIterator[Rig]:
    """An engine around which a test can be run; closed then, and asked what it has left."""
    packages = PackageStore(settings.data_dir / "packages")
    engine = make(settings, packages)
    rig = Rig(engine, settings, packages)
    try:
        await engine.open(rig.access)
        yield rig
    finally:
        await engine.close()
        await rig.runtime.close()
    assert leftovers() == []


def invocation(event: bytes) -> Invocation:
    """An event for a function that only exists here."""
    digest = hashlib.sha256(event).hexdigest()
    code = CodeRef(digest=digest, zip_bytes=1, unpacked_bytes=1, bootstrap=Bootstrap.OK)
    version = FunctionVersion(config=FunctionConfig(), code=code, created_at=0, modified_at=0)
    function = Function(
        name="hello", function_id="lam-1", created_at=0, versions={version.version: version}
    )
    loop = asyncio.get_running_loop()
    return Invocation(function, version, event, secrets.token_hex(16), loop)
