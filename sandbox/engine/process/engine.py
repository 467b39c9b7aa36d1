"""Instances as child processes of the control plane, where there is no container engine.

The functions' system is this machine's, not CentOS 7.6; what keeps instances apart is bubblewrap
where it works (``isolation.py``). Everything else is as with containers: the same init, the same
runtime API, on a loopback address of the instance's own.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.engine.base import EngineInfo, InstanceSpec, Sink
from sandbox.engine.process.child import ChildProcess
from sandbox.engine.process.directories import PackageDirectories, remove_tree
from sandbox.engine.process.host import HostLocale, system_name
from sandbox.engine.process.isolation import Places, choose_isolation
from sandbox.engine.process.loopback import LoopbackAddresses
from sandbox.engine.process.program import find_init
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sandbox.engine.base import RuntimeAccess
    from sandbox.engine.process.isolation import Isolation
    from sandbox.packages.package import Package, PackageStore
    from sandbox.settings import Settings


class ProcessEngine:
    """An ``Engine`` (see ``engine.base``): owns child processes and the directories they run in."""

    isolation: Isolation
    _runtime: RuntimeAccess
    _init: Path

    def __init__(
        self,
        settings: Settings,
        packages: PackageStore,
        choose: Callable[[Path], Awaitable[Isolation]] = choose_isolation,
    ) -> None:
        """``choose`` is given a directory for its files and tells how to keep instances apart."""
        self._choose = choose
        self.info = EngineInfo("process", platform.release(), "", system_name(), abi_parity=False)
        self._settings = settings
        self._root = settings.data_dir.absolute() / "process"
        self._directories = PackageDirectories(self._root / "packages", packages)
        self._addresses: LoopbackAddresses
        self._locale = HostLocale(there=True)
        self._children: set[ChildProcess] = set()
        self._starting = asyncio.Semaphore(settings.start_parallelism)

    async def open(self, runtime: RuntimeAccess) -> None:
        if sys.platform != "linux":
            raise EngineError(
                "the process engine needs Linux, which this system is not: use the docker engine"
            )
        self._runtime = runtime
        self._init = await asyncio.to_thread(find_init, self._settings.init_program)
        # Processes of an earlier run have ended with it: their inits see to that.
        await asyncio.to_thread(remove_tree, self._root)
        self._addresses = LoopbackAddresses(runtime.listen)
        self._locale = await asyncio.to_thread(HostLocale.find)
        self.isolation = await self._choose(self._root / "etc")
        self.info = EngineInfo(
            name="process",
            version=platform.release(),
            image="",
            base=self.info.base,
            abi_parity=False,
            note=(
                f"functions run on this machine's system ({self.info.base}), not on CentOS 7.6:"
                " what works here may fail in the cloud, and the other way round;"
                f" {self.isolation.note}"
            ),
            tmp=self.isolation.tmp,
            beside_mb=self.isolation.beside_mb,
            details={"isolation": self.isolation.name},
        )

    def capacity(self) -> dict[str, int]:
        return {
            platform.node(): os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // limits.MIB
        }

    def expect(self, code_digest: str) -> None:
        """Nothing can be begun without the package."""

    def take(self, package: Package) -> None:
        """It is unpacked from where it is kept: see ``prepare``."""

    async def prepare(self, code_digest: str, layers: tuple[str, ...]) -> None:
        await self._directories.code(code_digest)
        if layers:
            await self._directories.layers(layers)

    async def forget(self, code_digest: str) -> None:
        await self._directories.forget(code_digest)

    async def launch(self, spec: InstanceSpec, sink: Sink) -> ChildProcess:
        async with self._starting:
            self._directories.hold(spec.code_digest, *spec.layers)
            scratch = self._root / "scratch" / spec.instance_id
            server: asyncio.AbstractServer | None = None
            child: ChildProcess | None = None

            async def tidy() -> None:
                if child is not None:
                    self._children.discard(child)
                if server is not None:
                    server.close()
                self._directories.let_go(spec.code_digest, *spec.layers)
                await asyncio.to_thread(remove_tree, scratch)

            try:
                code = await self._directories.code(spec.code_digest)
                layers = await self._directories.layers(spec.layers) if spec.layers else None
                scratch.mkdir(parents=True)
                address, server = await self._addresses.take(spec.instance_id)
                child = ChildProcess(address, sink, self._runtime.links.heard, tidy)
                self._children.add(child)
                await self._start(child, spec, Places(code, layers, scratch))
            except BaseException:
                await (tidy() if child is None else child.destroy())
                raise
            return child

    async def _start(self, child: ChildProcess, spec: InstanceSpec, places: Places) -> None:
        isolation, init = self.isolation, self._init
        environment = {
            **self._locale.apply(spec.environment),
            "SCF_RUNTIME_API": child.runtime_host,
            "SCF_RUNTIME_API_PORT": str(self._settings.runtime_port),
            "NO_PROXY": child.runtime_host,
            "no_proxy": child.runtime_host,
        }
        limit = ("--memory", str(spec.memory_mb * limits.MIB), "--files", str(limits.MAX_FDS))
        data = isolation.arguments(spec, init, places, environment)
        with os.fdopen(os.memfd_create("scf-arguments", os.MFD_CLOEXEC), "w+b") as arguments:
            arguments.write(data)
            arguments.seek(0)
            await child.start(
                lambda fd, gauge: isolation.command(
                    init, ("--fd", f"{fd}", "--gauge", f"{gauge}", *limit), arguments.fileno()
                ),
                places.code,
                isolation.environment(places, environment),
                (arguments.fileno(),) if data else (),
            )

    async def close(self) -> None:
        async with AsyncExitStack() as parts:  # each of them, whatever becomes of the others
            parts.push_async_callback(asyncio.to_thread, remove_tree, self._root)
            parts.push_async_callback(self._directories.settled)
            ended = (child.destroy() for child in self._children)
            for end in await asyncio.gather(*ended, return_exceptions=True):
                if isinstance(end, BaseException):
                    raise end
