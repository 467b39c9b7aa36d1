"""Requests about namespaces."""

from api.cloud.models.base import Part, Request


class K8SLabelPart(Part):
    """A node label."""

    Key: str
    Value: str


class K8STolerationPart(Part):
    """A node toleration."""

    Key: str | None = None
    Operator: str | None = None
    Effect: str | None = None
    Value: str | None = None
    TolerationSeconds: int | None = None


class NamespaceResourceEnvTKEPart(Part):
    """An own Kubernetes cluster."""

    ClusterID: str
    SubnetID: str
    Namespace: str
    DataPath: str | None = None
    NodeSelector: list[K8SLabelPart] | None = None
    Tolerations: list[K8STolerationPart] | None = None
    Port: int | None = None
    PodTemplatePatch: str | None = None


class NamespaceResourceEnvPart(Part):
    """Own clusters."""

    TKE: NamespaceResourceEnvTKEPart | None = None
    OFFLINE: bool | None = None


class SearchKeyPart(Part):
    """A key and what to look for."""

    Key: str
    Value: str


class CreateNamespaceRequest(Request):
    """Create a namespace."""

    Namespace: str
    Description: str | None = None
    ResourceEnv: NamespaceResourceEnvPart | None = None


class ListNamespacesRequest(Request):
    """A page of namespaces."""

    Limit: int | None = None
    Offset: int | None = None
    Orderby: str | None = None
    Order: str | None = None
    SearchKey: list[SearchKeyPart] | None = None


class UpdateNamespaceRequest(Request):
    """Change a namespace's description."""

    Namespace: str
    Description: str


class DeleteNamespaceRequest(Request):
    """Delete an empty namespace."""

    Namespace: str
