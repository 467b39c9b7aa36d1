"""Create the function CustomRuntime-Bash from demo.zip, with Tencent Cloud's own Python SDK."""

import json
from base64 import b64encode
from pathlib import Path

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
    request = models.CreateFunctionRequest()
    request.from_json_string(
        json.dumps(
            {
                "FunctionName": "CustomRuntime-Bash",
                "Code": {"ZipFile": b64encode(Path("demo.zip").read_bytes()).decode()},
                "Runtime": "CustomRuntime",
                "Timeout": 3,
                "InitTimeout": 3,
            }
        )
    )
    print(client.CreateFunction(request).to_json_string())
except TencentCloudSDKException as error:
    print(error)
