"""Requests about versions and aliases."""

from api.cloud.models.base import Part, Request


class VersionWeightPart(Part):
    """A share of traffic, 0 to 1."""

    Version: str
    Weight: float


class VersionMatchPart(Part):
    """A rule of routing by request."""

    Version: str
    Key: str
    Method: str
    Expression: str


class RoutingConfigPart(Part):
    """Shares or rules of an alias' additional version."""

    AdditionalVersionWeights: list[VersionWeightPart] | None = None
    AddtionVersionMatchs: list[VersionMatchPart] | None = None


class PublishVersionRequest(Request):
    """Freeze ``$LATEST`` as the next version."""

    FunctionName: str
    Description: str | None = None
    Namespace: str | None = None


class ListVersionByFunctionRequest(Request):
    """A page of a function's versions."""

    FunctionName: str
    Namespace: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    Order: str | None = None
    OrderBy: str | None = None


class DeleteFunctionVersionRequest(Request):
    """Delete one version."""

    FunctionName: str
    Qualifier: str
    Namespace: str | None = None
    ForceDelete: str | None = None


class CreateAliasRequest(Request):
    """Name a version, with traffic routing."""

    Name: str
    FunctionName: str
    FunctionVersion: str
    Namespace: str | None = None
    RoutingConfig: RoutingConfigPart | None = None
    Description: str | None = None


class GetAliasRequest(Request):
    """One alias."""

    FunctionName: str
    Name: str
    Namespace: str | None = None


class ListAliasesRequest(Request):
    """A page of aliases. ``Offset`` and ``Limit`` are text here, and only here."""

    FunctionName: str
    Namespace: str | None = None
    FunctionVersion: str | None = None
    Offset: str | None = None
    Limit: str | None = None


class UpdateAliasRequest(Request):
    """Point an alias elsewhere."""

    FunctionName: str
    Name: str
    FunctionVersion: str
    Namespace: str | None = None
    RoutingConfig: RoutingConfigPart | None = None
    Description: str | None = None


class DeleteAliasRequest(Request):
    """Delete an alias."""

    FunctionName: str
    Name: str
    Namespace: str | None = None
