"""Which engine runs the instances: where each is found, and which one is taken."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import structlog

from sandbox.errors import EngineError
from sandbox.settings import AUTO, BUILT_IN_ENGINES, ENGINE_GROUP, known_engines

if TYPE_CHECKING:
    from sandbox.engine.base import Engine
    from sandbox.packages.package import PackageStore
    from sandbox.settings import Settings

log = structlog.get_logger()

#: Where the built-in engines are. Each is imported when it is chosen.
BUILT_IN = {
    "docker": EntryPoint("docker", "sandbox.engine.docker.engine:DockerEngine", ENGINE_GROUP),
    "process": EntryPoint("process", "sandbox.engine.process.engine:ProcessEngine", ENGINE_GROUP),
}


def choose_engine(settings: Settings, packages: PackageStore) -> Engine:
    """The engine that ``SCF_ENGINE`` names; with ``auto`` the first built-in one that works here.

    ``EngineError`` when it cannot be had.
    """
    if settings.engine != AUTO:
        return _make(settings.engine, settings, packages)
    *preferred, last = BUILT_IN_ENGINES
    for name in preferred:
        try:
            return _make(name, settings, packages)
        except EngineError as error:
            log.warning("engine_not_there", engine=name, error=error.message)
    return _make(last, settings, packages)


def _make(name: str, settings: Settings, packages: PackageStore) -> Engine:
    # A built-in engine wins over another of the same name.
    point = BUILT_IN.get(name) or next(iter(entry_points(group=ENGINE_GROUP, name=name)), None)
    if point is None:
        raise EngineError(f"there is no engine {name}: set SCF_ENGINE to {_choice()}")
    try:
        make = point.load()
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"the engine {name} cannot be loaded from {point.value} ({error}): install its package"
            f" again, or set SCF_ENGINE to {_choice()}"
        ) from error
    engine: Engine = make(settings, packages)
    return engine


def _choice() -> str:
    return ", ".join(known_engines())
