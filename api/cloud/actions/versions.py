"""Actions on versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cloud.actions.base import modelled
from api.cloud.models.versions import (
    DeleteFunctionVersionRequest,
    ListVersionByFunctionRequest,
    PublishVersionRequest,
)
from api.cloud.paging import page_of
from api.cloud.times import to_text
from api.cloud.validation import switch
from sandbox.functions.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from sandbox.functions.model import FunctionVersion
    from sandbox.functions.service import FunctionService
    from sandbox.functions.versions import VersionService


class VersionActions:
    """Publishes, lists and deletes versions."""

    def __init__(self, functions: FunctionService, versions: VersionService) -> None:
        self._functions = functions
        self._versions = versions

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "PublishVersion": modelled(PublishVersionRequest, self.publish),
            "ListVersionByFunction": modelled(ListVersionByFunctionRequest, self.list),
            "DeleteFunctionVersion": modelled(DeleteFunctionVersionRequest, self.delete),
        }

    async def publish(self, request: PublishVersionRequest) -> Fields:
        """Answers when the version is on disk. Its status is Publishing then."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._functions.require_namespace(namespace)
        version = await self._versions.publish(namespace, request.FunctionName, request.Description)
        config = version.config
        return {
            "FunctionVersion": version.version,
            "CodeSize": version.code.zip_bytes if version.code else 0,
            "MemorySize": config.memory_mb,
            "Description": config.description,
            "Handler": config.handler,
            "Timeout": config.timeout_s,
            "Runtime": config.runtime,
            "Namespace": namespace,
        }

    async def list(self, request: ListVersionByFunctionRequest) -> Fields:
        """A page of a function's versions, ``$LATEST`` among them."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._functions.require_namespace(namespace)
        versions = self._versions.list(
            namespace, request.FunctionName, request.OrderBy or "", request.Order or ""
        )
        page = page_of(versions, request.Offset, request.Limit)
        return {
            "FunctionVersion": [version.version for version in page],
            "Versions": [version_item(version) for version in page],
            "TotalCount": len(versions),
        }

    async def delete(self, request: DeleteFunctionVersionRequest) -> Fields:
        """Deletes one version. ``ForceDelete`` ends its running events too."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._functions.require_namespace(namespace)
        force = switch("DeleteFunctionVersion", "ForceDelete", request.ForceDelete)
        await self._versions.delete(namespace, request.FunctionName, request.Qualifier, force=force)
        return {}


def version_item(version: FunctionVersion) -> Fields:
    """One version in a list."""
    return {
        "Version": version.version,
        "Description": version.wanted.config.description,
        "AddTime": to_text(version.created_at),
        "ModTime": to_text(version.modified_at),
        "Status": version.status.value,
    }
