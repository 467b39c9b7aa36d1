"""CopyFunction and GetFunctionAddress: a function's code elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cloud.models.functions import CopyFunctionRequest, GetFunctionAddressRequest
from api.cloud.validation import validate
from sandbox.errors import ConflictError
from sandbox.functions.copying import CopyOptions, copy_function
from sandbox.functions.model import DEFAULT_NAMESPACE, LATEST

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from api.cloud.wire.request import CloudRequest
    from api.downloads import Downloads
    from sandbox.clock import Clock
    from sandbox.functions.service import FunctionService


class TransferActions:
    """Copies functions, and hands out links to their packages."""

    def __init__(
        self, functions: FunctionService, downloads: Downloads, clock: Clock, region: str
    ) -> None:
        self._functions = functions
        self._downloads = downloads
        self._clock = clock
        self._region = region

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {"CopyFunction": self.copy, "GetFunctionAddress": self.address}

    async def copy(self, call: CloudRequest) -> Fields:
        """Copies ``$LATEST``. The sandbox has one region: that of the caller."""
        request = validate(call.action, CopyFunctionRequest, call.params)
        if request.TargetRegion not in (None, "", call.region, self._region):
            raise ConflictError(
                f"this sandbox is one region: it cannot copy to {request.TargetRegion[:80]}; leave"
                " TargetRegion out",
                "FailedOperation.CopyFunction",
            )
        await copy_function(
            self._functions,
            self._clock,
            (request.Namespace or DEFAULT_NAMESPACE, request.FunctionName),
            (request.TargetNamespace or DEFAULT_NAMESPACE, request.NewFunctionName),
            CopyOptions(
                description=request.Description,
                override=bool(request.Override),
                configuration=request.CopyConfiguration is not False,
            ),
        )
        return {}

    async def address(self, call: CloudRequest) -> Fields:
        """A link to the package of one version. It has the host that the client called."""
        request = validate(call.action, GetFunctionAddressRequest, call.params)
        function, version = self._functions.resolve(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            request.Qualifier or LATEST,
            code="ResourceNotFound.Version",
        )
        code = version.wanted.code
        if code is None:
            raise ConflictError(
                f"function {function.name} has no code", "FailedOperation.GetFunctionAddress"
            )
        return {
            "Url": self._downloads.url(call.host, function.name, code.digest),
            "CodeSha256": code.digest,
        }
