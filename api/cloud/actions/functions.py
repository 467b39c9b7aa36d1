"""Actions on functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api.cloud.actions.base import modelled, rehearsable
from api.cloud.actions.layers import layer_item
from api.cloud.code import check_source, package_of
from api.cloud.filters import predicate
from api.cloud.models.common import CodePart
from api.cloud.models.functions import (
    CreateFunctionRequest,
    DeleteFunctionRequest,
    GetFunctionRequest,
    ListFunctionsRequest,
    UpdateFunctionCodeRequest,
    UpdateFunctionConfigurationRequest,
)
from api.cloud.passthrough import created_topic, kept_fields
from api.cloud.validation import invalid, switch
from api.cloud.views import function_details, function_item
from sandbox.errors import LimitError, RequestError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.listing import Query
from sandbox.functions.model import (
    DEFAULT_NAMESPACE,
    LATEST,
    DeadLetterQueue,
    FunctionConfig,
)
from sandbox.functions.rules import environment_from_pairs, layers_from_pairs

if TYPE_CHECKING:
    from api.cloud.actions.base import Action, Fields
    from api.cloud.models.functions import (
        DeadLetterConfigPart,
        EnvironmentPart,
        LayerVersionSimplePart,
    )
    from sandbox.functions.layers import Layers
    from sandbox.functions.model import LayerRef
    from sandbox.functions.service import FunctionService
    from sandbox.functions.versions import VersionService
    from sandbox.packages.package import PackageStore

#: The most that ShowCode shows, bytes.
SHOWN_CODE_BYTES = 1024 * 1024


class FunctionActions:
    """Creates, shows, changes and deletes functions."""

    def __init__(
        self,
        functions: FunctionService,
        versions: VersionService,
        layers: Layers,
        packages: PackageStore,
    ) -> None:
        self._functions = functions
        self._versions = versions
        self._layers = layers
        self._packages = packages

    def actions(self) -> dict[str, Action]:
        """The actions of this theme, by name."""
        return {
            "CreateFunction": rehearsable(CreateFunctionRequest, self.create),
            "GetFunction": modelled(GetFunctionRequest, self.get),
            "ListFunctions": modelled(ListFunctionsRequest, self.list),
            "UpdateFunctionCode": rehearsable(UpdateFunctionCodeRequest, self.update_code),
            "UpdateFunctionConfiguration": rehearsable(
                UpdateFunctionConfigurationRequest, self.update_configuration
            ),
            "DeleteFunction": modelled(DeleteFunctionRequest, self.delete),
        }

    async def create(self, request: CreateFunctionRequest, dry_run: bool) -> Fields:
        """Answers when the function is on disk. Its status is Creating then."""
        action = "CreateFunction"
        check_source(action, request.CodeSource)
        namespace = request.Namespace or DEFAULT_NAMESPACE
        kept = kept_fields(action, request)
        kept.update(created_topic(namespace, request.FunctionName, kept))
        asked = {
            "handler": request.Handler or None,
            "description": request.Description,
            "memory_mb": request.MemorySize,
            "timeout_s": request.Timeout,
            "init_timeout_s": request.InitTimeout,
            "environment": _environment(request.Environment),
            "layers": _layers(request.Layers),
            "role": request.Role,
            "type": request.Type or None,
            "dead_letter": _dead_letter(request.DeadLetterConfig),
        }
        config = FunctionConfig(
            runtime=request.Runtime or "",
            async_run=switch(action, "AsyncRunEnable", request.AsyncRunEnable),
            traced=switch(action, "TraceEnable", request.TraceEnable),
            kept=kept,
            **{name: value for name, value in asked.items() if value is not None},
        )
        await self._functions.create(
            namespace,
            request.FunctionName,
            await package_of(action, request.Code),
            config,
            tags={tag.Key: tag.Value for tag in request.Tags or []},
            dry_run=dry_run,
        )
        return {}

    async def get(self, request: GetFunctionRequest) -> Fields:
        """Everything about one version, and its bootstrap's text when ``ShowCode`` is TRUE."""
        if not request.FunctionName:
            raise RequestError(
                "FunctionName is missing", "InvalidParameter.FunctionNameOrResourceIdRequired"
            )
        qualifier = request.Qualifier or LATEST
        function, version = self._functions.resolve(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            qualifier,
            code="ResourceNotFound.Version",
        )
        code, text = version.wanted.code, ""
        if code and switch("GetFunction", "ShowCode", request.ShowCode):
            text = await asyncio.to_thread(self._bootstrap_text, code.digest)
        details = function_details(function, version, qualifier, text)
        layers = version.wanted.config.layers
        return {**details, "Layers": [self._layer(layer) for layer in layers]}

    async def list(self, request: ListFunctionsRequest) -> Fields:
        """A page of a namespace's functions."""
        query = Query(
            search=request.SearchKey or "",
            where=predicate(request.Filters or [], request.Description or ""),
            order_by=request.Orderby or "AddTime",
            order=request.Order or "DESC",
            offset=request.Offset or 0,
            limit=20 if request.Limit is None else request.Limit,
        )
        page = self._functions.list(request.Namespace or DEFAULT_NAMESPACE, query)
        return {
            "Functions": [function_item(function) for function in page.functions],
            "TotalCount": page.total,
        }

    async def update_code(self, request: UpdateFunctionCodeRequest, dry_run: bool) -> Fields:
        """Old clients send the package beside ``Code``, new ones in ``Code``. Either is used."""
        action = "UpdateFunctionCode"
        check_source(action, request.CodeSource)
        namespace = request.Namespace or DEFAULT_NAMESPACE
        self._functions.get(namespace, request.FunctionName)
        change = ConfigChange(handler=request.Handler or None, kept=kept_fields(action, request))
        data = await package_of(action, _one_code(request))
        try:
            await self._functions.update_code(
                namespace,
                request.FunctionName,
                data,
                change,
                publish=switch(action, "Publish", request.Publish),
                dry_run=dry_run,
            )
        except LimitError as error:
            if error.code != "InvalidParameterValue.LimitExceeded":
                raise
            # The platform lists no code of its own for a large package here.
            raise LimitError(error.message, "InvalidParameterValue.ZipFile") from error
        return {}

    async def update_configuration(
        self, request: UpdateFunctionConfigurationRequest, dry_run: bool
    ) -> Fields:
        """Changes the fields that are given. A list of one empty variable or layer clears the
        list."""
        action = "UpdateFunctionConfiguration"
        change = ConfigChange(
            runtime=request.Runtime or None,
            description=request.Description,
            memory_mb=request.MemorySize,
            timeout_s=request.Timeout,
            init_timeout_s=request.InitTimeout,
            environment=_environment(request.Environment),
            layers=_layers(request.Layers),
            role=request.Role,
            dead_letter=_dead_letter(request.DeadLetterConfig),
            kept=kept_fields(action, request),
        )
        await self._functions.update_config(
            request.Namespace or DEFAULT_NAMESPACE,
            request.FunctionName,
            change,
            publish=switch(action, "Publish", request.Publish),
            dry_run=dry_run,
        )
        return {}

    async def delete(self, request: DeleteFunctionRequest) -> Fields:
        """Deletes a function and everything of it. With ``Qualifier``, deletes one version."""
        namespace = request.Namespace or DEFAULT_NAMESPACE
        if request.Qualifier:
            await self._versions.delete(namespace, request.FunctionName, request.Qualifier)
            return {}
        await self._functions.delete(namespace, request.FunctionName)
        return {}

    def _layer(self, ref: LayerRef) -> Fields:
        layer = self._layers.get(ref.name)
        return layer_item(layer, layer.versions[ref.version])

    def _bootstrap_text(self, digest: str) -> str:
        """The text of the package's ``bootstrap``. Empty if it is large, binary or missing."""
        data = self._packages.open(digest).read("bootstrap", SHOWN_CODE_BYTES + 1)
        if data is None or len(data) > SHOWN_CODE_BYTES:
            return ""
        try:
            return data.decode()
        except UnicodeDecodeError:
            return ""


def _environment(given: EnvironmentPart | None) -> dict[str, str] | None:
    if given is None or given.Variables is None:
        return None
    return environment_from_pairs((item.Key or "", item.Value or "") for item in given.Variables)


def _layers(given: list[LayerVersionSimplePart] | None) -> tuple[LayerRef, ...] | None:
    if given is None:
        return None
    return layers_from_pairs((item.LayerName, item.LayerVersion) for item in given)


def _one_code(request: UpdateFunctionCodeRequest) -> CodePart:
    """The ``Code`` of the request, made of ``ZipFile`` if the client sent that."""
    beside = CodePart(
        ZipFile=request.ZipFile,
        CosBucketName=request.CosBucketName,
        CosObjectName=request.CosObjectName,
        CosBucketRegion=request.CosBucketRegion,
    )
    if request.Code is None:
        return beside
    if beside != CodePart():
        raise invalid(
            "UpdateFunctionCode", "Code", "send the package in Code, or beside it, not both"
        )
    return request.Code


def _dead_letter(part: DeadLetterConfigPart | None) -> DeadLetterQueue | None:
    if part is None:
        return None
    return DeadLetterQueue(type=part.Type, name=part.Name, filter_type=part.FilterType or "")
