"""Actions on layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.cloud.actions.base import modelled
from api.cloud.code import package_of
from api.cloud.models.layers import (
    DeleteLayerVersionRequest,
    GetLayerVersionRequest,
    ListLayersRequest,
    ListLayerVersionsRequest,
    PublishLayerVersionRequest,
)
from api.cloud.paging import page_of
from api.cloud.times import to_text
from api.cloud.validation import validate
from sandbox.errors import RequestError, SandboxError
from sandbox.functions.layers import LayerContents, check_layer_name, check_runtimes

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from api.cloud.wire.request import CloudRequest
    from api.downloads import Downloads
    from sandbox.functions.layers import Layer, Layers, LayerService, LayerVersion

#: The errors of a package. PublishLayerVersion lists one code for all of them.
_BAD_PACKAGE = frozenset({"InvalidParameterValue.ZipFile", "InvalidParameterValue.LimitExceeded"})


class LayerActions:
    """Publishes, shows and deletes layer versions."""

    def __init__(self, layers: Layers, service: LayerService, downloads: Downloads) -> None:
        self._layers = layers
        self._service = service
        self._downloads = downloads

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "PublishLayerVersion": modelled(PublishLayerVersionRequest, self.publish),
            "GetLayerVersion": self.get,
            "ListLayers": modelled(ListLayersRequest, self.list),
            "ListLayerVersions": modelled(ListLayerVersionsRequest, self.list_versions),
            "DeleteLayerVersion": modelled(DeleteLayerVersionRequest, self.delete),
        }

    async def publish(self, request: PublishLayerVersionRequest) -> Fields:
        """Makes the next version of a layer. The first version makes the layer."""
        check_layer_name(request.LayerName)
        contents = LayerContents(
            request.CompatibleRuntimes,
            request.Description or "",
            request.LicenseInfo or "",
            {tag.Key: tag.Value for tag in request.Tags or []},
        )
        try:
            data = await package_of("PublishLayerVersion", request.Content)
            version = await self._service.publish(request.LayerName, data, contents)
        except SandboxError as error:
            if error.code in _BAD_PACKAGE or error.code == "MissingParameter":
                raise RequestError(
                    f"Content: {error.message}", "InvalidParameterValue.Content"
                ) from error
            raise
        return {"LayerVersion": version.version}

    async def get(self, call: CloudRequest) -> Fields:
        """One version, with a link to its package. The link has the host that the client called."""
        request = validate(call.action, GetLayerVersionRequest, call.params)
        version = self._layers.version(request.LayerName, request.LayerVersion)
        return {
            "CompatibleRuntimes": list(version.runtimes),
            "CodeSha256": version.digest,
            "Location": self._downloads.url(call.host, request.LayerName, version.digest),
            "AddTime": to_text(version.created_at),
            "Description": version.description,
            "LicenseInfo": version.license,
            "LayerVersion": version.version,
            "LayerName": request.LayerName,
            "Status": "Active",
        }

    async def list(self, request: ListLayersRequest) -> Fields:
        """A page of layers by name. Each shows its newest version that fits the runtime."""
        runtime, search = request.CompatibleRuntime, (request.SearchKey or "").lower()
        _check_runtimes([runtime] if runtime else [])
        found = [
            layer_item(layer, max(versions, key=lambda version: version.version))
            for layer in self._layers.all()
            if search in layer.name.lower()
            and (versions := _fitting(layer, [runtime] if runtime else []))
        ]
        page = page_of(found, request.Offset, request.Limit)
        return {"Layers": list(page), "TotalCount": len(found)}

    async def list_versions(self, request: ListLayerVersionsRequest) -> Fields:
        """The versions of one layer that fit one of the runtimes, the newest first."""
        runtimes = request.CompatibleRuntime or []
        _check_runtimes(runtimes)
        layer = self._layers.get(request.LayerName)
        versions = reversed(_fitting(layer, runtimes))
        return {"LayerVersions": [layer_item(layer, version) for version in versions]}

    async def delete(self, request: DeleteLayerVersionRequest) -> Fields:
        """Deletes a version that no function is bound to."""
        await self._service.delete(request.LayerName, request.LayerVersion)
        return {}


def layer_item(layer: Layer, version: LayerVersion) -> dict[str, Any]:
    """One version in a list, and in what GetFunction shows of a function's layers."""
    return {
        "CompatibleRuntimes": list(version.runtimes),
        "AddTime": to_text(version.created_at),
        "Description": version.description,
        "LicenseInfo": version.license,
        "LayerVersion": version.version,
        "LayerName": layer.name,
        "Status": "Active",
        "Stamp": "Default",
        "Tags": [{"Key": key, "Value": value} for key, value in layer.tags.items()],
    }


def _fitting(layer: Layer, runtimes: list[str]) -> list[LayerVersion]:
    """The versions for one of these runtimes, oldest first; all of them without runtimes."""
    versions = [version for _, version in sorted(layer.versions.items())]
    return [v for v in versions if not runtimes or set(runtimes) & set(v.runtimes)]


def _check_runtimes(runtimes: list[str]) -> None:
    if not runtimes:
        return
    try:
        check_runtimes(runtimes)
    except SandboxError as error:
        raise RequestError(error.message, "InvalidParameterValue.Runtime") from error
