"""Requests about layers."""

from api.cloud.models.base import Request
from api.cloud.models.common import CodePart, TagPart


class PublishLayerVersionRequest(Request):
    """Make a layer version from a package."""

    LayerName: str
    CompatibleRuntimes: list[str]
    Content: CodePart
    Description: str | None = None
    LicenseInfo: str | None = None
    Tags: list[TagPart] | None = None


class GetLayerVersionRequest(Request):
    """One layer version."""

    LayerName: str
    LayerVersion: int


class ListLayersRequest(Request):
    """A page of layers, each by its newest version."""

    CompatibleRuntime: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    SearchKey: str | None = None


class ListLayerVersionsRequest(Request):
    """The versions of one layer."""

    LayerName: str
    CompatibleRuntime: list[str] | None = None


class DeleteLayerVersionRequest(Request):
    """Delete one layer version."""

    LayerName: str
    LayerVersion: int
