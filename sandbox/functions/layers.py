"""Layers: packages that functions share. Instances have them unpacked below ``/opt``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from sandbox import limits
from sandbox.errors import (
    ConflictError,
    InvalidParameterValue,
    LimitError,
    LimitExceeded,
    NotFoundError,
    RequestError,
    ResourceInUse,
    ResourceNotFound,
)
from sandbox.functions.collection import Collection
from sandbox.functions.model import CUSTOM_RUNTIME
from sandbox.functions.rules import OTHER_RUNTIMES, check_description

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.clock import Clock
    from sandbox.functions.collection import CollectionRepository
    from sandbox.functions.model import LayerRef
    from sandbox.packages.keeper import CodeKeeper
    from sandbox.packages.model import CodeRef

NAME_MAX = 64
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")


class LayerVersion(BaseModel, frozen=True):
    """One published version: immutable. Sizes in bytes, the time in seconds since the epoch."""

    version: int
    digest: str
    zip_bytes: int
    unpacked_bytes: int
    runtimes: tuple[str, ...]
    description: str = ""
    license: str = ""
    created_at: float


class Layer(BaseModel, frozen=True):
    """A layer with its versions.

    ``published`` is the number of the version that was published last. Numbers are never used
    again, so a layer is kept when all its versions are deleted.
    """

    name: str
    published: int = 0
    tags: dict[str, str] = Field(default_factory=dict)
    versions: dict[int, LayerVersion] = Field(default_factory=dict)

    @property
    def newest(self) -> LayerVersion:
        """The version with the highest number. The layer must have one."""
        return self.versions[max(self.versions)]


@dataclass(frozen=True, slots=True)
class LayerContents:
    """A new version without its package."""

    runtimes: Sequence[str]
    description: str = ""
    license: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Layers:
    """All layers, by name. Functions look their layers up here; ``LayerService`` changes them."""

    def __init__(self, table: CollectionRepository[Layer]) -> None:
        """Empty until ``load``."""
        self.collection = Collection(table)

    async def load(self) -> None:
        """Read every layer that was saved."""
        await self.collection.load()

    async def close(self) -> None:
        """Wait for the changes under way."""
        await self.collection.close()

    def digests(self) -> frozenset[str]:
        """The packages of all layer versions."""
        return frozenset(v.digest for layer in self.all() for v in layer.versions.values())

    def all(self) -> list[Layer]:
        """The layers that have a version, by name."""
        return [layer for layer in self.collection.all() if layer.versions]

    def get(self, name: str) -> Layer:
        """A layer that has a version, or ``ResourceNotFound.Layer``."""
        layer = self.collection.find(name)
        if layer is None or not layer.versions:
            raise NotFoundError(
                f"there is no layer {name}: publish it first", ResourceNotFound.LAYER
            )
        return layer

    def version(self, name: str, number: int) -> LayerVersion:
        """One version, or ``ResourceNotFound.LayerVersion``."""
        layer = self.collection.find(name)
        found = layer.versions.get(number) if layer else None
        if found is None:
            raise NotFoundError(
                f"there is no version {number} of layer {name}: publish it first",
                ResourceNotFound.LAYER_VERSION,
            )
        return found

    def bind(self, ref: LayerRef) -> LayerRef:
        """``ref`` with the digest and size of its package, or ``ResourceNotFound.Layer``."""
        try:
            found = self.version(ref.name, ref.version)
        except NotFoundError as error:
            raise NotFoundError(error.message, ResourceNotFound.LAYER) from error
        update = {"digest": found.digest, "unpacked_bytes": found.unpacked_bytes}
        return ref.model_copy(update=update)


class LayerService:
    """Publishes and deletes layer versions. The cloud API calls it."""

    def __init__(
        self,
        layers: Layers,
        code: CodeKeeper,
        in_use: Callable[[str, int], bool],
        clock: Clock,
    ) -> None:
        """``in_use`` says whether a function is bound to a version of a layer."""
        self._layers = layers
        self._code = code
        self._in_use = in_use
        self._clock = clock

    async def publish(self, name: str, data: bytes, contents: LayerContents) -> LayerVersion:
        """Make the next version of a zip. It is Active when this returns.

        ``InvalidParameterValue.{LayerName,CompatibleRuntimes,Description}``,
        ``LimitExceeded.LayerVersions`` (versions of one layer, and layers), and the errors of
        ``package``.
        """
        check_layer_name(name)
        check_runtimes(contents.runtimes)
        check_description(contents.description)

        async with self._code.admit(data) as ref:
            layer = await self._layers.collection.put(
                name, lambda before: self._published(before, name, ref, contents)
            )
        return layer.versions[layer.published]

    async def delete(self, name: str, number: int) -> None:
        """Delete one version.

        ``ResourceNotFound.LayerVersion``; ``ResourceInUse.LayerVersion`` while a version of some
        function is bound to it.
        """
        gone = self._layers.version(name, number)

        def without(before: Layer | None) -> Layer:
            assert before is not None
            if self._in_use(name, number):
                raise ConflictError(
                    f"version {number} of layer {name} is bound to a function: unbind it, or"
                    " delete the function's version, first",
                    ResourceInUse.LAYER_VERSION,
                )
            rest = {n: v for n, v in before.versions.items() if n != number}
            return before.model_copy(update={"versions": rest})

        await self._layers.collection.put(name, without)
        self._code.collect([gone.digest])

    def _published(
        self, before: Layer | None, name: str, ref: CodeRef, contents: LayerContents
    ) -> Layer:
        layer = before or Layer(name=name)
        if not layer.versions and len(self._layers.all()) >= limits.LAYERS:
            raise LimitError(
                f"there are {limits.LAYERS} layers, which is the limit: delete one first",
                LimitExceeded.LAYER_VERSIONS,
            )
        if len(layer.versions) >= limits.VERSIONS_PER_LAYER:
            raise LimitError(
                f"layer {name} has {limits.VERSIONS_PER_LAYER} versions, which is the limit:"
                " delete one first",
                LimitExceeded.LAYER_VERSIONS,
            )
        version = LayerVersion(
            version=layer.published + 1,
            digest=ref.digest,
            zip_bytes=ref.zip_bytes,
            unpacked_bytes=ref.unpacked_bytes,
            runtimes=tuple(contents.runtimes),
            description=contents.description,
            license=contents.license,
            created_at=self._clock.now(),
        )
        return layer.model_copy(
            update={
                "published": version.version,
                "tags": {**layer.tags, **contents.tags},
                "versions": {**layer.versions, version.version: version},
            }
        )


def check_layer_name(name: str) -> None:
    """``InvalidParameterValue.LayerName`` unless 1 to 64 of letters, digits, ``-``, ``_``, the
    first a letter, the last a letter or digit."""
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise RequestError(
            f"LayerName {name[:80]!r} is not valid: use 1 to {NAME_MAX} letters, digits, - and _,"
            " starting with a letter, ending with a letter or digit",
            InvalidParameterValue.LAYER_NAME,
        )


def check_runtimes(runtimes: Sequence[str]) -> None:
    """``InvalidParameterValue.CompatibleRuntimes`` unless it names runtimes of the platform."""
    wrong = [r for r in runtimes if r != CUSTOM_RUNTIME and not OTHER_RUNTIMES.fullmatch(r)]
    if wrong or not runtimes:
        what = f"{wrong[0][:80]!r} is no runtime" if wrong else "it is empty"
        raise RequestError(
            f"CompatibleRuntimes: {what}; send, for example, [{CUSTOM_RUNTIME!r}]",
            InvalidParameterValue.COMPATIBLE_RUNTIMES,
        )
