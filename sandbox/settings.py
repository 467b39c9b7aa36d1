"""All settings: ``SCF_*`` environment variables, read once at start."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sandbox import limits
from sandbox.errors import RequestError

#: Our own engines, in the order in which ``auto`` tries them.
BUILT_IN_ENGINES = ("docker", "process")
AUTO = "auto"
#: Engines of other packages are entry points of this group.
ENGINE_GROUP = "scf_sandbox.engines"
#: The smallest range of addresses that instances can have: 13 of them.
SMALLEST_PREFIX = 28


def known_engines() -> list[str]:
    """Every name that ``SCF_ENGINE`` accepts; ``auto`` and our own engines come first."""
    ours = (AUTO, *BUILT_IN_ENGINES)
    return [*ours, *sorted({point.name for point in entry_points(group=ENGINE_GROUP)} - {*ours})]


#: A host name of the control API, or ``*.`` and a name for every name below it.
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")

#: What a browser calls the origin of a page.
ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


class Settings(BaseSettings):
    """All settings. Frozen; passed to each part, which never reads the environment.

    Each field is an environment variable: ``port`` is ``SCF_PORT``. Durations are seconds.
    """

    model_config = SettingsConfigDict(env_prefix="SCF_", frozen=True, env_ignore_empty=True)

    host: str = "127.0.0.1"
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(default_factory=tuple)
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(default_factory=tuple)
    port: int = Field(default=9000, ge=1, le=65535)
    runtime_port: int = Field(default=9001, ge=1, le=65535)
    data_dir: Path = Path("data")
    database_url: str | None = None
    engine: str = AUTO
    installation: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_.-]{0,40}$")
    tmp: Literal["auto", "disk", "memory"] = "auto"
    instance_image: str = "scf-sandbox/centos7"
    control_container: bool = False
    init_program: Path | None = None
    network_range: str = "198.18.0.0/15"

    region: str = "ap-guangzhou"
    app_id: str = "1250000000"
    uin: str = "100000000001"

    signature: Literal["off", "warn", "enforce"] | None = None
    unknown_fields: Literal["refuse", "warn"] = "refuse"
    credentials: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)

    standby: int = Field(default=1, ge=0, le=20)
    standby_ttl: float = 600.0
    idle_timeout: float = 300.0
    memory_budget_mb: int | None = None
    functions_per_namespace: int = Field(default=50, ge=1)
    namespaces: int = Field(default=limits.NAMESPACES, ge=1)
    busy_poll_us: float = Field(default=100.0, ge=0, le=10_000)
    places: int | None = Field(default=None, ge=0, le=512)
    start_parallelism: int = Field(default=4, ge=1, le=64)
    init_timeout_status: int = 450
    async_retry_interval: float = Field(default=60.0, gt=0)
    async_queue_limit: int = Field(default=limits.ASYNC_QUEUE_EVENTS, ge=1)
    log_retention_days: float = 7.0
    log_level: str = "info"
    log_format: Literal["console", "json"] = "console"

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, value: str) -> str:
        # Reading the entry points of all packages takes milliseconds: our own names skip it.
        if value not in (AUTO, *BUILT_IN_ENGINES) and value not in known_engines():
            raise ValueError(f"there is no such engine, only {', '.join(known_engines())}")
        return value

    @field_validator("credentials", mode="before")
    @classmethod
    def _parse_credentials(cls, value: object) -> object:
        """``id:key,id2:key2`` to a mapping."""
        if not isinstance(value, str):
            return value
        pairs = [pair for pair in value.split(",") if pair.strip()]
        if any(":" not in pair for pair in pairs):
            raise ValueError("SCF_CREDENTIALS takes SecretId:SecretKey pairs, separated by commas")
        return {pair.split(":", 1)[0].strip(): pair.split(":", 1)[1].strip() for pair in pairs}

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _parse_hosts(cls, value: object) -> object:
        """``dev.example.com,*.lab.example`` to names in lower case."""
        if not isinstance(value, str):
            return value
        names = tuple(name.strip().lower() for name in value.split(",") if name.strip())
        if not all(map(HOST_NAME.fullmatch, names)):
            raise ValueError(
                "SCF_ALLOWED_HOSTS takes host names without scheme and port, separated by commas:"
                " dev.example.com, or *.example.com for all names below it"
            )
        return names

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _parse_origins(cls, value: object) -> object:
        """``http://localhost:3000,https://dev.example.com`` to origins in lower case."""
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",")]
        origins = tuple(part.lower().rstrip("/") for part in parts if part)
        if not all(map(ORIGIN.fullmatch, origins)):
            raise ValueError(
                "SCF_ALLOWED_ORIGINS takes origins of web pages, with scheme and port and without a"
                " path, separated by commas: http://localhost:3000"
            )
        return origins

    @field_validator("network_range")
    @classmethod
    def _check_range(cls, value: str) -> str:
        network = IPv4Network(value)
        if network.prefixlen > SMALLEST_PREFIX:
            raise ValueError(f"a range for instances is a /{SMALLEST_PREFIX} or larger")
        return str(network)

    @property
    def resolved_database_url(self) -> str:
        """The database's SQLAlchemy URL: ``database_url``, or a SQLite file in ``data_dir``."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'scf.db'}"


def read_settings() -> Settings:
    """The settings in the environment.

    ``RequestError`` names each wrong variable, and no value: a value may be a key.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = [
            f"SCF_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise RequestError("settings are wrong: " + "; ".join(found)) from error
