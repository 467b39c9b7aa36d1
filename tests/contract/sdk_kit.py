"""The official Python SDK, unmodified, against the cloud API on a loopback port."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.common import credential
from tencentcloud.common.abstract_model import AbstractModel
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models

from tests.contract.cloud_kit import LocalCloud, running_cloud, served
from tests.contract.coverage_kit import ObservedClient, note_sent, sample_of
from tests.contract.listed_codes import require_listed
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ID, KEY = "AKIDtest", "secret-of-the-test"


class Sdk:
    """The blocking SDK, called from a thread."""

    def __init__(
        self,
        endpoint: str,
        method: str = "POST",
        sign: str = "TC3-HMAC-SHA256",
        secret: tuple[str, str] = (ID, KEY),
    ) -> None:
        http = HttpProfile(endpoint=endpoint, reqMethod=method)
        if "://" not in endpoint:
            http.scheme = "http"
        profile = ClientProfile(httpProfile=http, signMethod=sign)
        self._client = ObservedClient(credential.Credential(*secret), "na-toronto", profile)

    async def call(self, action: str, **params: Any) -> Any:
        request = getattr(models, f"{action}Request")()
        request._deserialize(params)
        note_sent(action, request)
        return await asyncio.to_thread(getattr(self._client, action), request)

    async def error_of(self, action: str, **params: Any) -> TencentCloudSDKException:
        with pytest.raises(TencentCloudSDKException) as caught:
            await self.call(action, **params)
        require_listed(action, caught.value.code)
        return caught.value


@asynccontextmanager
async def cloud_at_address(
    directory: Path, http: str = "httptools", **settings: Any
) -> AsyncIterator[tuple[LocalCloud, str]]:
    settings.setdefault("credentials", {ID: KEY})
    async with running_cloud(directory, **settings) as cloud, served(cloud.app, http) as address:
        yield cloud, address


def require_complete(answer: Any, *empty: str) -> None:
    """Every field of the SDK's model of this answer has a value, down to the last structure; but
    for those named in ``empty``, which may have none."""
    for name, value in vars(answer).items():
        field = name.removeprefix("_")
        if field in empty:
            continue
        assert value is not None, f"{type(answer).__name__}.{field} has no value"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, AbstractModel):
                require_complete(item, *empty)


async def require_other_sources_refused(sdk: Sdk, action: str, part: str, **params: Any) -> None:
    """Code from anywhere but ``ZipFile`` is refused, even beside a zip."""
    for source, value in sample_of("Code").items():
        if source != "ZipFile":
            code = {"ZipFile": zip_text(), source: value}
            error = await sdk.error_of(action, **params, **{part: code})
            assert error.code == "UnsupportedOperation", source
