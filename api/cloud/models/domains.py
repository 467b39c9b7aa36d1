"""Requests about custom domains."""

from api.cloud.models.base import Part, Request
from api.cloud.models.common import FilterPart, TagPart


class CertConfPart(Part):
    """A certificate by id."""

    CertificateId: str | None = None


class PathRewriteRulePart(Part):
    """How a path is rewritten."""

    Path: str
    Type: str
    Rewrite: str


class EndpointsConfPart(Part):
    """Which function a path of a domain goes to."""

    Namespace: str
    FunctionName: str
    Qualifier: str
    PathMatch: str
    PathRewrite: list[PathRewriteRulePart] | None = None


class WafConfPart(Part):
    """A web firewall."""

    WafOpen: str | None = None
    WafInstanceId: str | None = None


class CreateCustomDomainRequest(Request):
    """Bind a domain."""

    Domain: str
    Protocol: str
    EndpointsConfig: list[EndpointsConfPart]
    CertConfig: CertConfPart | None = None
    WafConfig: WafConfPart | None = None
    Tags: list[TagPart] | None = None


class GetCustomDomainRequest(Request):
    """One domain."""

    Domain: str | None = None


class ListCustomDomainsRequest(Request):
    """A page of domains."""

    Offset: int | None = None
    Limit: int | None = None
    OrderBy: str | None = None
    Order: str | None = None
    Filters: list[FilterPart] | None = None


class UpdateCustomDomainRequest(Request):
    """Change a domain's binding."""

    Domain: str
    Protocol: str | None = None
    CertConfig: CertConfPart | None = None
    WafConfig: WafConfPart | None = None
    EndpointsConfig: list[EndpointsConfPart] | None = None


class DeleteCustomDomainRequest(Request):
    """Unbind a domain."""

    Domain: str | None = None
