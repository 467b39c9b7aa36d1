"""Functions and the packages of their layers, while either is being changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import ConflictError, NotFoundError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.layers import Layer, LayerContents, Layers, LayerService
from sandbox.functions.model import CUSTOM_RUNTIME, FunctionConfig, LayerRef
from sandbox.functions.service import FunctionService
from tests.support.waiting import eventually
from tests.support.zips import file, make_zip, package
from tests.unit.functions.collection_fakes import FakeTable
from tests.unit.functions.function_fakes import FunctionBench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BOUND = (LayerRef(name="tools", version=1),)


class LayerBench(FunctionBench):
    """Functions with layers, of which version 1 of ``tools`` is published."""

    digest: str

    def make(self, functions_per_namespace: int = 50) -> None:
        super().make(functions_per_namespace)
        self.layers = Layers(FakeTable(Layer))
        self.service = FunctionService(
            self.registry,
            self.packages,
            self.host,
            self.clock,
            bind_layer=self.layers.bind,
            layer_packages=self.layers.digests,
            save_again_s=0.0,
        )
        self.layer_service = LayerService(
            self.layers, self.service.code, self.service.uses_layer, self.clock
        )

    async def publish(self) -> None:
        data = make_zip(file("lib/tool", b"tool"))
        published = await self.layer_service.publish("tools", data, LayerContents([CUSTOM_RUNTIME]))
        self.digest = published.digest

    async def delete_layer(self) -> None:
        """Delete the layer's version, and let everything that follows from it happen."""
        await self.layer_service.delete("tools", 1)
        await self.service.code.drain()

    def is_kept(self) -> bool:
        return self.digest in self.packages.digests()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LayerBench]:
    bench = LayerBench(tmp_path)
    await bench.service.open()
    await bench.publish()
    yield bench
    bench.repository.gate.set()
    await bench.service.close()
    await bench.layers.close()


async def test_a_layer_deleted_while_a_function_is_created_leaves_it_its_package(
    bench: LayerBench,
) -> None:
    bench.repository.gate.clear()
    config = FunctionConfig(layers=BOUND)
    creating = asyncio.ensure_future(bench.service.create("default", "fn", package(), config))
    await eventually(lambda: bench.repository.begun == 1)
    await bench.delete_layer()
    bench.repository.gate.set()
    await creating
    assert (await bench.settled()).latest.config.layer_digests == (bench.digest,)
    assert bench.is_kept()


async def test_a_layer_deleted_while_it_is_bound_by_an_update_leaves_its_package(
    bench: LayerBench,
) -> None:
    await bench.active()
    begun = bench.repository.begun
    bench.repository.gate.clear()
    change = ConfigChange(layers=BOUND)
    updating = asyncio.ensure_future(bench.service.update_config("default", "fn", change))
    await eventually(lambda: bench.repository.begun == begun + 1)
    await bench.delete_layer()
    bench.repository.gate.set()
    await updating
    assert (await bench.settled()).latest.config.layer_digests == (bench.digest,)
    assert bench.is_kept()


async def test_a_layer_that_a_refused_function_wanted_goes_with_its_deletion(
    bench: LayerBench,
) -> None:
    await bench.active()
    config = FunctionConfig(layers=BOUND)
    with pytest.raises(ConflictError):
        await bench.service.create("default", "fn", package(), config)
    missing = FunctionConfig(layers=(LayerRef(name="tools", version=2),))
    with pytest.raises(NotFoundError):
        await bench.service.create("default", "other", package(), missing)
    assert bench.is_kept()
    await bench.delete_layer()
    assert not bench.is_kept()
