"""Which engine runs the instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from sandbox.errors import EngineError

if TYPE_CHECKING:
    from sandbox.engine.base import Engine
    from sandbox.packages.package import PackageStore
    from sandbox.settings import Settings

log = structlog.get_logger()


def choose_engine(settings: Settings, packages: PackageStore) -> Engine:
    """The engine that the settings name; with ``auto`` Docker where it answers, else processes."""
    if settings.engine != "process":
        from sandbox.engine.docker.engine import DockerEngine

        try:
            return DockerEngine(settings, packages)
        except EngineError as error:
            if settings.engine == "docker":
                raise
            log.warning("docker_not_there", error=error.message)
    from sandbox.engine.process.engine import ProcessEngine

    return ProcessEngine(settings, packages)
