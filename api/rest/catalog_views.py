"""The shapes of versions, aliases, layers, namespaces and concurrency in plain REST's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, computed_field

from api.rest.parameters import Whole  # noqa: TC001 - pydantic evaluates it
from api.rest.times import Utc, utc

if TYPE_CHECKING:
    from sandbox.functions.concurrency import Provision
    from sandbox.functions.layers import Layer, LayerVersion
    from sandbox.functions.model import FunctionVersion
    from sandbox.functions.namespaces import Namespace
    from sandbox.functions.routing import Alias


class Made(BaseModel):
    """Something with the time when it was made: seconds since the epoch."""

    created_at: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def created_at_utc(self) -> Utc:
        """``created_at`` in RFC 3339."""
        return utc(self.created_at)


class Changed(Made):
    """Something that can be changed, with the time when it was changed last."""

    modified_at: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def modified_at_utc(self) -> Utc:
        """``modified_at`` in RFC 3339."""
        return utc(self.modified_at)


class VersionView(Changed):
    """A version of a function. Published ones never change."""

    version: str
    status: str
    description: str
    memory: int = Field(description="MB")
    sha256: str = Field(description="of its zip, or empty")

    @classmethod
    def of(cls, version: FunctionVersion) -> VersionView:
        """The view of a version."""
        config = version.wanted.config
        return cls(
            version=version.version,
            status=version.status.value,
            description=config.description,
            memory=config.memory_mb,
            sha256=version.code.digest if version.code else "",
            created_at=version.created_at,
            modified_at=version.modified_at,
        )


class VersionList(BaseModel):
    """All versions of a function: ``$LATEST``, then the newest first."""

    versions: list[VersionView]


class Rule(BaseModel):
    """Sends the requests to a version whose routing key has a fitting value under ``key``."""

    version: str
    key: str = Field(description="`invoke.headers.` and a name")
    method: str = Field(description="`exact`, or `range`")
    expression: str = Field(description="the value, or an interval: `[1,100)`")


class AliasView(Changed):
    """A name that leads to a version, and with ``weights`` or ``rules`` to one more."""

    name: str
    version: str
    description: str
    weights: dict[str, float] = Field(description="shares of the traffic, 0 to 1, by version")
    rules: list[Rule]

    @classmethod
    def of(cls, alias: Alias) -> AliasView:
        """The view of an alias."""
        return cls(
            name=alias.name,
            version=alias.version,
            description=alias.description,
            weights={share.version: share.weight for share in alias.weights},
            rules=[Rule.model_validate(rule.model_dump()) for rule in alias.matches],
            created_at=alias.created_at,
            modified_at=alias.modified_at,
        )


class AliasList(BaseModel):
    """All aliases of a function, ``$DEFAULT`` first."""

    aliases: list[AliasView]


class LayerVersionView(Made):
    """A version of a layer: it never changes."""

    name: str
    version: int
    sha256: str
    zip_bytes: int
    unpacked_bytes: int
    runtimes: list[str]
    description: str
    license: str

    @classmethod
    def of(cls, name: str, version: LayerVersion) -> LayerVersionView:
        """The view of a version."""
        return cls(
            name=name,
            version=version.version,
            sha256=version.digest,
            zip_bytes=version.zip_bytes,
            unpacked_bytes=version.unpacked_bytes,
            runtimes=list(version.runtimes),
            description=version.description,
            license=version.license,
            created_at=version.created_at,
        )


class LayerVersionList(BaseModel):
    """Versions of layers, newest first."""

    versions: list[LayerVersionView]

    @classmethod
    def newest(cls, layers: list[Layer]) -> LayerVersionList:
        """The newest version of each layer, by name."""
        return cls(versions=[LayerVersionView.of(layer.name, layer.newest) for layer in layers])


class NamespaceView(Changed):
    """A namespace. ``memory`` is what its functions may use together, MB."""

    name: str
    description: str
    memory: int

    @classmethod
    def of(cls, namespace: Namespace) -> NamespaceView:
        """The view of a namespace."""
        return cls(
            name=namespace.name,
            description=namespace.description,
            memory=namespace.total_mb,
            created_at=namespace.created_at,
            modified_at=namespace.modified_at,
        )


class NamespaceList(BaseModel):
    """All namespaces, by name."""

    namespaces: list[NamespaceView]


class ProvisionedView(BaseModel):
    """The instances of a version that are kept initialised."""

    version: str
    count: int
    available: int = Field(description="how many are initialised")
    status: str = Field(description="Done, InProgress or Failed")
    reason: str

    @classmethod
    def of(cls, provision: Provision) -> ProvisionedView:
        """The view of a version's provisioned instances."""
        return cls(
            version=provision.version,
            count=provision.allocated,
            available=provision.available,
            status=provision.state.value,
            reason=provision.reason,
        )


class ConcurrencyView(BaseModel):
    """What a function may use. ``memory``, in MB, is reserved for it; null: it shares."""

    memory: int | None
    provisioned: list[ProvisionedView]
    unallocated: int = Field(description="how many more instances could be provisioned")


class AsyncView(BaseModel):
    """How asynchronous events are tried again: ``retries`` times, within ``max_age`` seconds."""

    retries: Whole
    max_age: Whole
