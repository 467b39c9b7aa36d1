"""Invoke the function CustomRuntime-Bash with Tencent Cloud's own Python SDK."""

import json

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client

ENDPOINT = "http://127.0.0.1:9000"  # in the cloud: scf.tencentcloudapi.com

try:
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=ENDPOINT))
    client = scf_client.ScfClient(
        credential.Credential("SecretId", "secretKey"), "na-toronto", profile
    )
    request = models.InvokeRequest()
    event = json.dumps({"key1": "test value 1", "key2": "test value 2"})
    request.from_json_string(
        json.dumps({"FunctionName": "CustomRuntime-Bash", "ClientContext": event})
    )
    print(client.Invoke(request).to_json_string())
except TencentCloudSDKException as error:
    print(error)
