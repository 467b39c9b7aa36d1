"""Instances as child processes of the control plane, where there is no container engine.

The functions' system is this machine's, not CentOS 7.6; what keeps instances apart is bubblewrap
where it works (``isolation.py``). Everything else is as with containers: the same waiting entry,
the same runtime API, on a loopback address of the instance's own.
"""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sandbox import limits
from sandbox.engine.base import EngineInfo, InstanceSpec, Sink
from sandbox.engine.process import proctree
from sandbox.engine.process.child import ChildProcess
from sandbox.engine.process.directories import PackageDirectories, remove_tree
from sandbox.engine.process.host import HostLocale, system_name
from sandbox.engine.process.isolation import Places, choose_isolation
from sandbox.engine.process.loopback import LoopbackAddresses
from sandbox.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Any

    from sandbox.engine.base import Listen
    from sandbox.engine.process.isolation import Isolation
    from sandbox.packages.package import Package, PackageStore
    from sandbox.settings import Settings

#: Memory is looked at this often, seconds, and takes at most this share of the event loop's time.
SAMPLE_S = 0.05
SAMPLE_SHARE = 0.05


class ProcessEngine:
    """An ``Engine`` (see ``engine.base``): owns child processes and the directories they run in."""

    isolation: Isolation

    def __init__(
        self,
        settings: Settings,
        packages: PackageStore,
        choose: Callable[[Path], Awaitable[Isolation]] = choose_isolation,
    ) -> None:
        """``choose`` is given a directory for its files and tells how to keep instances apart."""
        self._choose = choose
        self.info = EngineInfo("process", platform.release(), "", system_name(), os_parity=False)
        self._settings = settings
        self._root = settings.data_dir.absolute() / "process"
        self._directories = PackageDirectories(self._root / "packages", packages)
        self._addresses: LoopbackAddresses
        self._locale = HostLocale(there=True)
        self._children: set[ChildProcess] = set()
        self._starting = asyncio.Semaphore(settings.start_parallelism)
        self._sampler: asyncio.TimerHandle | None = None

    async def open(self, listen: Listen) -> None:
        if not proctree.supported():
            raise EngineError(
                "the process engine needs Linux with /proc, which this system does not have: use"
                " the docker engine"
            )
        # Processes of an earlier run have ended with it: see supervisor.py.
        await asyncio.to_thread(remove_tree, self._root)
        self._addresses = LoopbackAddresses(listen)
        self._locale = await asyncio.to_thread(HostLocale.find)
        self.isolation = await self._choose(self._root / "etc")
        self.info = EngineInfo(
            name="process",
            version=platform.release(),
            image="",
            base=self.info.base,
            os_parity=False,
            note=(
                f"functions run on this machine's system ({self.info.base}), not on CentOS 7.6:"
                " what works here may fail in the cloud, and the other way round;"
                f" {self.isolation.note}"
            ),
            details={"isolation": self.isolation.name},
        )
        self._sample()

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

            async def tidy(child: ChildProcess | None = None) -> None:
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
                limit = spec.memory_mb * limits.MIB
                child = ChildProcess(address, limit, self.isolation, sink, tidy)
                await self._spawn(child, spec, Places(code, layers, scratch))
            except BaseException:
                await tidy()
                raise
            self._children.add(child)
            try:
                await child.started()
            except BaseException:
                await child.destroy()
                raise
            return child

    async def _spawn(self, child: ChildProcess, spec: InstanceSpec, places: Places) -> None:
        environment = {
            **self._locale.apply(spec.environment),
            "SCF_RUNTIME_API": child.runtime_host,
            "SCF_RUNTIME_API_PORT": str(self._settings.runtime_port),
            "NO_PROXY": child.runtime_host,
            "no_proxy": child.runtime_host,
        }
        handover = os.memfd_create("scf-handover", os.MFD_CLOEXEC)
        try:
            os.write(handover, self.isolation.handover(spec, places, environment))
            os.lseek(handover, 0, os.SEEK_SET)
            options: dict[str, Any] = {
                "stdin": asyncio.subprocess.PIPE,
                "stdout": asyncio.subprocess.PIPE,
                "stderr": asyncio.subprocess.STDOUT,
                "cwd": places.code,
                "env": {},
                "start_new_session": True,
                "pass_fds": (handover,),
            }
            await asyncio.get_running_loop().subprocess_exec(
                lambda: child, *self.isolation.command(handover), **options
            )
        except OSError as error:
            raise EngineError(f"cannot start a process: {error}") from error
        finally:
            os.close(handover)

    async def close(self) -> None:
        if self._sampler is not None:
            self._sampler.cancel()
        async with AsyncExitStack() as parts:  # each of them, whatever becomes of the others
            parts.push_async_callback(asyncio.to_thread, remove_tree, self._root)
            parts.push_async_callback(self._directories.settled)
            ended = (child.destroy() for child in self._children)
            failures = await asyncio.gather(*ended, return_exceptions=True)
            for failure in filter(None, failures):
                raise failure

    def _sample(self) -> None:
        """The memory of every running instance, again and again."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for child in self._children:
            if child.released:
                child.sample()
        spent = loop.time() - start
        self._sampler = loop.call_later(max(SAMPLE_S, spent / SAMPLE_SHARE), self._sample)
