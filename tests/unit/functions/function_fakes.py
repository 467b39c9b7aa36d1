"""A host, a store and a clock that tests can hold still, or make fail."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from sandbox.errors import EngineError
from sandbox.functions.model import Function, FunctionConfig
from sandbox.functions.registry import FunctionRegistry
from sandbox.functions.service import FunctionService
from sandbox.packages.package import PackageStore
from tests.support.clock import FakeClock
from tests.support.waiting import DEADLINE_S
from tests.support.zips import package

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.functions.model import FunctionVersion
    from sandbox.packages.package import Package


class FakeRepository:
    """Keeps functions as the text that a database would. ``gate`` holds writes back."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        self.begun = 0
        self.writes = 0

    def load_all(self) -> list[Function]:
        return [Function.model_validate_json(text) for text in self.rows.values()]

    def save(self, function: Function) -> None:
        self._write()
        self.rows[function.key] = function.model_dump_json()

    def delete(self, namespace: str, name: str) -> None:
        self._write()
        self.rows.pop((namespace, name), None)

    def stored(self, name: str = "fn") -> Function | None:
        text = self.rows.get(("default", name))
        return Function.model_validate_json(text) if text else None

    def _write(self) -> None:
        self.begun += 1
        assert self.gate.wait(DEADLINE_S)
        self.writes += 1
        if self.errors:
            raise self.errors.pop(0)


class FakeHost:
    """Remembers what it was asked for. ``gate`` holds preparations back."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.prepared: list[tuple[Function, FunctionVersion]] = []
        self.retired: list[tuple[str, str, frozenset[str]]] = []
        self.expected: list[str] = []
        self.taken: list[str] = []
        self.forgotten: list[str] = []
        self.killed: list[tuple[str, str, str]] = []
        self.provisions: list[tuple[str, dict[str, int]]] = []
        self.errors: list[Exception] = []
        self.in_use: set[str] = set()
        self.forget_refusals = 0
        self.retire_errors: list[Exception] = []

    def expect_code(self, digest: str) -> None:
        self.expected.append(digest)

    def take_code(self, package: Package) -> None:
        self.taken.append(package.ref.digest)

    async def prepare(self, function: Function, version: FunctionVersion) -> None:
        self.prepared.append((function, version))
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)

    async def retire(self, namespace: str, name: str, keep: frozenset[str]) -> None:
        self.retired.append((namespace, name, keep))
        if self.retire_errors:
            raise self.retire_errors.pop(0)

    async def kill(self, namespace: str, name: str, version: str) -> None:
        self.killed.append((namespace, name, version))

    def provision(self, function: Function) -> None:
        self.provisions.append((function.name, function.provisioned))

    async def forget_code(self, digest: str) -> None:
        if digest in self.in_use:
            self.forget_refusals += 1
            raise EngineError("volume is in use")
        self.forgotten.append(digest)


class FunctionBench:
    """A function service with everything around it faked, but for packages on disk."""

    def __init__(self, directory: Path) -> None:
        self.repository = FakeRepository()
        self.host = FakeHost()
        self.packages = PackageStore(directory / "packages")
        self.clock = FakeClock(step_s=1.0)
        self.make()

    def make(self, functions_per_namespace: int = 50) -> None:
        self.registry = FunctionRegistry(self.repository)
        self.service = FunctionService(
            self.registry,
            self.packages,
            self.host,
            self.clock,
            functions_per_namespace=functions_per_namespace,
            save_again_s=0.0,
        )

    async def restart(self) -> None:
        """As after a crash: a new service on what was stored."""
        await self.service.close()
        self.make()
        await self.service.open()

    async def create(self, name: str = "fn", text: str = "") -> Function:
        return await self.service.create("default", name, package(text), FunctionConfig())

    async def active(self, name: str = "fn", text: str = "") -> Function:
        """Create a function and wait until it serves."""
        await self.create(name, text)
        return await self.settled(name)

    async def settled(self, name: str = "fn") -> Function:
        return await self.service.settled("default", name, DEADLINE_S)

    def latest(self, name: str = "fn") -> FunctionVersion:
        return self.service.get("default", name).latest
