"""Actions on namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cloud.actions.base import modelled
from api.cloud.models.namespaces import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    ListNamespacesRequest,
    UpdateNamespaceRequest,
)
from api.cloud.paging import page_of
from api.cloud.times import to_text
from sandbox.errors import RequestError, UnsupportedError

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from sandbox.functions.namespaces import Namespace, Namespaces


class NamespaceActions:
    """Makes, lists, changes and deletes namespaces."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "CreateNamespace": modelled(CreateNamespaceRequest, self.create),
            "ListNamespaces": modelled(ListNamespacesRequest, self.list),
            "UpdateNamespace": modelled(UpdateNamespaceRequest, self.update),
            "DeleteNamespace": modelled(DeleteNamespaceRequest, self.delete),
        }

    async def create(self, request: CreateNamespaceRequest) -> Fields:
        """Makes a namespace. Own clusters are not simulated."""
        environment = request.ResourceEnv
        if environment is not None and (environment.TKE is not None or environment.OFFLINE):
            raise UnsupportedError(
                "this sandbox runs functions on this machine only: leave ResourceEnv out"
            )
        await self._namespaces.create(request.Namespace, request.Description or "")
        return {}

    async def list(self, request: ListNamespacesRequest) -> Fields:
        """A page of namespaces; the last changed first, unless asked otherwise."""
        found = self._namespaces.all()
        for search in request.SearchKey or []:
            if search.Key not in ("Namespace", "Description"):
                raise RequestError(
                    f"SearchKey: Key {search.Key[:80]!r} must be Namespace or Description",
                    "InvalidParameterValue.SearchKey",
                )
            by_name, wanted = search.Key == "Namespace", search.Value.lower()
            found = [n for n in found if wanted in (n.name if by_name else n.description).lower()]
        order, order_by = (request.Order or "DESC").upper(), request.Orderby or "Updatetime"
        if order not in ("ASC", "DESC") or order_by.lower() not in ("name", "updatetime"):
            raise RequestError(
                f"Orderby {order_by[:80]!r} with Order {order[:80]!r} is not valid: use Name or"
                " Updatetime with ASC or DESC",
                "InvalidParameterValue.Order",
            )
        if order_by.lower() == "updatetime":
            found.sort(key=lambda namespace: namespace.modified_at)
        if order == "DESC":
            found.reverse()
        page = page_of(found, request.Offset, request.Limit)
        return {
            "Namespaces": [namespace_item(namespace) for namespace in page],
            "TotalCount": len(found),
        }

    async def update(self, request: UpdateNamespaceRequest) -> Fields:
        """Changes a namespace's description."""
        await self._namespaces.update(request.Namespace, request.Description)
        return {}

    async def delete(self, request: DeleteNamespaceRequest) -> Fields:
        """Deletes an empty namespace."""
        await self._namespaces.delete(request.Namespace)
        return {}


def namespace_item(namespace: Namespace) -> Fields:
    """A namespace as the API shows it."""
    return {
        "ModTime": to_text(namespace.modified_at),
        "AddTime": to_text(namespace.created_at),
        "Description": namespace.description,
        "Name": namespace.name,
        "Type": "default",
    }
