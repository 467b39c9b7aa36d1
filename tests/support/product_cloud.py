"""Asynchronous functions on a running product, through the official Python SDK."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models

from tests.contract.coverage_kit import ObservedClient, note_sent
from tests.contract.listed_codes import require_listed
from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.support.product import Product

#: Its handler waits in short steps until SIGTERM, which it announces and handles.
WAITING_RUNTIME = """#!/bin/bash
api=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime
%(trap)s
curl -s -o /dev/null -d ' ' $api/init/ready
while true; do
  event=$(curl -s $api/invocation/next)
  echo "working"
  until [ -n "$told" ]; do read -r -t 0.05 _ <> <(:); done
  curl -s -o /dev/null -d "wound up" $api/invocation/response
done
"""
HANDLES_SIGTERM = WAITING_RUNTIME % {"trap": "trap 'echo told; told=1' TERM"}
IGNORANT_OF_SIGTERM = WAITING_RUNTIME % {"trap": ""}


class ProductCloud:
    """The product as the SDK sees it."""

    def __init__(self, product: Product, pair: tuple[str, str] = ("SecretId", "secretKey")) -> None:
        self.product = product
        http = HttpProfile(endpoint=f"127.0.0.1:{product.port}", protocol="http")
        profile = ClientProfile(httpProfile=http)
        secret = credential.Credential(*pair)
        self._client = ObservedClient(secret, "ap-guangzhou", profile)

    def call(self, action: str, **params: Any) -> Any:
        request = getattr(models, f"{action}Request")()
        request._deserialize(params)
        note_sent(action, request)
        return getattr(self._client, action)(request)

    def error(self, action: str, **params: Any) -> str:
        """The error code of an action that is refused."""
        with pytest.raises(TencentCloudSDKException) as caught:
            self.call(action, **params)
        code: str = caught.value.get_code()
        require_listed(action, code)
        return code

    def create(self, name: str, bootstrap: str, **params: Any) -> None:
        """A function that is Active."""
        code = base64.b64encode(zip_of({"bootstrap": bootstrap})).decode()
        given = {"Runtime": "CustomRuntime", "Code": {"ZipFile": code}, **params}
        self.call("CreateFunction", FunctionName=name, **given)
        self.active(name, params.get("Namespace", "default"))

    def active(self, name: str, namespace: str = "default", qualifier: str = "$LATEST") -> None:
        """Wait until a version can be invoked."""
        which = {"FunctionName": name, "Namespace": namespace, "Qualifier": qualifier}
        wait_until(lambda: self.call("GetFunction", **which).Status == "Active")

    def send(self, name: str, event: str = "{}", **params: Any) -> str:
        """Invoke without waiting; the id of the event."""
        given = {"InvocationType": "Event", "ClientContext": event, **params}
        result = self.call("Invoke", FunctionName=name, **given).Result
        assert (result.RetMsg, result.Log, result.ErrMsg) == ("", "", "")
        request_id: str = result.FunctionRequestId
        return request_id

    def status(self, request_id: str) -> tuple[str, int]:
        found = self.call("GetAsyncEventStatus", InvokeRequestId=request_id).Result
        assert found.InvokeRequestId == request_id
        return found.Status, found.StatusCode

    def request_status(self, name: str, request_id: str) -> Any:
        """The answer of GetRequestStatus, or None if it has no record yet."""
        found = self.call("GetRequestStatus", FunctionName=name, FunctionRequestId=request_id).Data
        return found[0] if found else None

    def ended(self, name: str, request_id: str) -> Any:
        """Wait until an event has ended. Returns the answer of GetRequestStatus."""
        return wait_until(lambda: self._ended(name, request_id))

    def _ended(self, name: str, request_id: str) -> Any:
        found = self.request_status(name, request_id)
        return found if found is not None and found.RetCode != 1 else None

    def working(self, name: str, request_id: str) -> None:
        """Wait until the handler works on an event."""
        wait_until(lambda: "working" in self.log(name, request_id))

    def log(self, name: str, request_id: str) -> str:
        data = self.call("GetFunctionLogs", FunctionName=name, FunctionRequestId=request_id).Data
        return str(data[0].Log) if data else ""
