"""Makes the services for functions and all that belongs to them, and connects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from sandbox.functions.aliases import AliasService
from sandbox.functions.concurrency import ConcurrencyService
from sandbox.functions.layers import Layers, LayerService
from sandbox.functions.namespaces import Namespaces
from sandbox.functions.ports import ConcurrencyHost, FunctionRecorder, ServiceHost
from sandbox.functions.quotas import Demands, Quotas
from sandbox.functions.registry import FunctionRegistry
from sandbox.functions.service import FunctionService
from sandbox.functions.timers import ProvisionTimers
from sandbox.functions.versions import VersionService

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.functions.collection import CollectionRepository
    from sandbox.functions.layers import Layer
    from sandbox.functions.namespaces import Namespace
    from sandbox.functions.registry import FunctionRepository
    from sandbox.packages.package import PackageStore
    from sandbox.scheduler import Scheduler
    from sandbox.settings import Settings


class CatalogTables(NamedTuple):
    """Where each kind of record is saved."""

    functions: FunctionRepository
    layers: CollectionRepository[Layer]
    namespaces: CollectionRepository[Namespace]


class CatalogHost(ServiceHost, ConcurrencyHost, Demands, Protocol):
    """What the services need of the pool and its engine."""


class Catalog:
    """The function, version, alias, layer, namespace and concurrency services of one control
    plane."""

    def __init__(
        self,
        tables: CatalogTables,
        packages: PackageStore,
        host: CatalogHost,
        clock: Clock,
        settings: Settings,
        scheduler: Scheduler,
        recorder: FunctionRecorder | None = None,
    ) -> None:
        """Nothing is read before ``open``."""
        self.registry = FunctionRegistry(tables.functions, recorder)
        self.layers = Layers(tables.layers)
        self.namespaces = Namespaces(
            tables.namespaces, clock, self.registry.occupied, settings.namespaces
        )
        self.functions = FunctionService(
            self.registry,
            packages,
            host,
            clock,
            functions_per_namespace=settings.functions_per_namespace,
            namespace_exists=self.namespaces.exists,
            bind_layer=self.layers.bind,
            layer_packages=self.layers.digests,
        )
        self.versions = VersionService(self.registry, self.functions, host, clock)
        self.quotas = Quotas(self.registry, self.namespaces.total_mb, host)
        self.concurrency = ConcurrencyService(self.registry, self.namespaces, self.quotas, host)
        self.provision_timers = ProvisionTimers(self.registry, self.concurrency, scheduler)
        self.aliases = AliasService(self.registry, clock)
        self.layer_service = LayerService(
            self.layers, self.functions.code, self.functions.uses_layer, clock
        )

    async def open(self) -> None:
        """Load everything that was saved, and resume what was interrupted."""
        await self.namespaces.load()
        await self.layers.load()
        await self.functions.open()
        self.provision_timers.open()

    async def close(self) -> None:
        """Stop what is under way. The next start resumes it."""
        await self.provision_timers.close()
        await self.concurrency.close()
        await self.versions.close()
        await self.functions.close()
        await self.layers.close()
        await self.namespaces.close()
