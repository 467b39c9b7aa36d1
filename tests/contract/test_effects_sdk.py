"""What the actions on functions do to functions that really run, through the official SDK."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.interpreter import create_in_python, publish_python
from tests.support.product import bash_runtime
from tests.support.product_cloud import HANDLES_SIGTERM
from tests.support.waiting import wait_until
from tests.support.zips import zip_of, zip_text

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

#: Tells what the platform and its configuration made of the function.
SHOWS = bash_runtime('echo "$SCF_NAMESPACE $SCF_FUNCTIONVERSION $_HANDLER ${COLOUR:-none} $MARK"')
SLOW = bash_runtime('read -r -t 1.5 _ <> <(:); echo "$1"')


def coloured(colour: str) -> dict[str, Any]:
    return {"Environment": {"Variables": [{"Key": "COLOUR", "Value": colour}]}}


def shown(cloud: ProductCloud, name: str, **params: Any) -> str:
    """What the function says of itself."""
    result = cloud.call("Invoke", FunctionName=name, **params).Result
    assert result.InvokeResult == 0, result.ErrMsg
    text: str = result.RetMsg.strip()
    return text


def failed(cloud: ProductCloud, name: str) -> tuple[int, str]:
    result = cloud.call("Invoke", FunctionName=name).Result
    assert result.InvokeResult == -1
    error = json.loads(result.ErrMsg)
    return error["statusCode"], error["errorMessage"]


def test_configuration_code_versions_and_copies_reach_the_running_function(
    cloud: ProductCloud,
) -> None:
    cloud.call("CreateNamespace", Namespace="copies")
    where = {"FunctionName": "shows"}
    cloud.create("shows", SHOWS, Handler="a.b", **coloured("red"))
    assert shown(cloud, "shows") == "default $LATEST a.b red"
    cloud.call("PublishVersion", **where)
    cloud.active("shows", qualifier="1")

    cloud.call("UpdateFunctionConfiguration", **where, **coloured("blue"))
    cloud.active("shows")
    assert shown(cloud, "shows") == "default $LATEST a.b blue"
    new = SHOWS.replace("$MARK", "new")
    cloud.call(
        "UpdateFunctionCode",
        **where,
        Handler="c.d",
        ZipFile=zip_text({"bootstrap": new}),
        Publish="TRUE",
    )
    cloud.active("shows")
    assert shown(cloud, "shows") == "default $LATEST c.d blue new"
    assert shown(cloud, "shows", Qualifier="1") == "default 1 a.b red"
    cloud.active("shows", qualifier="2")
    assert shown(cloud, "shows", Qualifier="2") == "default 2 c.d blue new"

    cloud.call("CopyFunction", **where, NewFunctionName="shows", TargetNamespace="copies")
    cloud.active("shows", "copies")
    assert shown(cloud, "shows", Namespace="copies") == "copies $LATEST c.d blue new"

    address = cloud.call("GetFunctionAddress", **where, Qualifier="1")
    package = httpx.get(address.Url, trust_env=False).content
    assert hashlib.sha256(package).hexdigest() == address.CodeSha256
    assert package == zip_of({"bootstrap": SHOWS})

    cloud.call("DeleteFunctionVersion", **where, Qualifier="1")
    assert cloud.error("Invoke", **where, Qualifier="1") == "ResourceNotFound.Qualifier"
    cloud.call("DeleteFunction", **where)
    assert cloud.error("Invoke", **where) == "ResourceNotFound.FunctionName"
    wait_until(lambda: [i["namespace"] for i in cloud.product.instances("shows")] == ["copies"])
    assert shown(cloud, "shows", Namespace="copies") == "copies $LATEST c.d blue new"


def test_a_deleted_version_ends_its_events_when_it_is_told_to_by_force(cloud: ProductCloud) -> None:
    where = {"FunctionName": "forced"}
    cloud.create("forced", HANDLES_SIGTERM, Timeout=60, AsyncRunEnable="TRUE")
    ids = {}
    for version in ("1", "2"):
        cloud.call("PublishVersion", **where)
        cloud.active("forced", qualifier=version)
        ids[version] = cloud.send("forced", Qualifier=version)
        cloud.working("forced", ids[version])
    cloud.call("DeleteFunctionVersion", **where, Qualifier="1", ForceDelete="TRUE")
    ended = cloud.ended("forced", ids["1"])
    assert (ended.RetCode, "wound up" in ended.RetMsg) == (-1, False)

    cloud.call("DeleteFunctionVersion", **where, Qualifier="2", ForceDelete="FALSE")
    assert cloud.request_status("forced", ids["2"]).RetCode == 1
    cloud.call("TerminateAsyncEvent", **where, InvokeRequestId=ids["2"], GraceShutdown=True)
    ended = cloud.ended("forced", ids["2"])
    assert (ended.RetCode, ended.RetMsg) == (0, "wound up")
    wait_until(lambda: cloud.product.instances("forced") == [])


def test_limits_of_time_and_memory_are_those_of_the_last_update(cloud: ProductCloud) -> None:
    cloud.create("slow", SLOW, Timeout=9)
    assert shown(cloud, "slow", ClientContext='"x"') == '"x"'
    cloud.call("UpdateFunctionConfiguration", FunctionName="slow", Timeout=1)
    cloud.active("slow")
    assert failed(cloud, "slow") == (433, "Invoking task timed out after 1 seconds")

    fills = bash_runtime('text=$(head -c 100000000 /dev/zero | tr "\\0" x); echo "${#text}"')
    cloud.create("fills", fills, MemorySize=1024, Timeout=30)
    assert shown(cloud, "fills") == "100000000"
    cloud.call("UpdateFunctionConfiguration", FunctionName="fills", MemorySize=64)
    cloud.active("fills")
    assert failed(cloud, "fills") == (434, "Task memory exceeded 64 MB")


def test_a_role_brings_credentials_and_its_end_takes_them_away(cloud: ProductCloud) -> None:
    tells = bash_runtime('echo "${TENCENTCLOUD_SECRETID:-no} ${TENCENTCLOUD_SESSIONTOKEN:+token}"')
    cloud.create("role", tells, Role="role-1")
    assert shown(cloud, "role").endswith(" token")
    cloud.call("UpdateFunctionConfiguration", FunctionName="role", Role="")
    cloud.active("role")
    assert shown(cloud, "role") == "no"


def test_a_failed_update_leaves_the_old_code_serving_also_after_a_restart(
    cloud: ProductCloud,
) -> None:
    cloud.create("careful", bash_runtime("echo old"))
    assert shown(cloud, "careful") == "old"
    package = zip_of({"bootstrap": bash_runtime("echo new")})
    # Where the engine wants to unpack the new package there is something in its way.
    obstacle = cloud.product.data_dir / "process/packages" / hashlib.sha256(package).hexdigest()
    obstacle.write_text("")
    new = {"FunctionName": "careful", "ZipFile": base64.b64encode(package).decode()}
    cloud.call("UpdateFunctionCode", **new, Publish="TRUE")
    which = {"FunctionName": "careful"}
    wait_until(lambda: cloud.call("GetFunction", **which).Status == "UpdateFailed")
    found = cloud.call("GetFunction", **which)
    assert "cannot unpack" in found.StatusReasons[0].ErrorMessage
    assert cloud.call("ListVersionByFunction", **which).FunctionVersion == ["$LATEST"]
    assert shown(cloud, "careful") == "old"

    cloud.product.kill()
    cloud.product.start()
    assert cloud.call("GetFunction", **which).Status == "UpdateFailed"
    assert shown(cloud, "careful") == "old"

    cloud.call("UpdateFunctionCode", **new)
    cloud.active("careful")
    assert shown(cloud, "careful") == "new"


def test_an_interpreter_in_a_layer_runs_a_function(cloud: ProductCloud) -> None:
    layer = {"LayerName": "python", "LayerVersion": publish_python(cloud)}
    create_in_python(cloud, "in-python", layer)
    answer = json.loads(shown(cloud, "in-python", ClientContext='{"n": 21}'))
    assert (answer["version"], answer["twice"]) == (sys.version, 42)
    assert answer["home"] != sys.prefix
    assert answer["home"].endswith("/python")

    assert cloud.error("DeleteLayerVersion", **layer) == "ResourceInUse.LayerVersion"
    unbound = [{"LayerName": "", "LayerVersion": 0}]
    cloud.call("UpdateFunctionConfiguration", FunctionName="in-python", Layers=unbound)
    cloud.active("in-python")
    status, message = failed(cloud, "in-python")
    assert status == 450
    assert "loader" in message
    cloud.call("DeleteLayerVersion", **layer)


@pytest.mark.parametrize(
    ("routing", "versions"),
    [
        ({"AdditionalVersionWeights": [{"Version": "2", "Weight": 1}]}, {"2"}),
        ({"AdditionalVersionWeights": [{"Version": "2", "Weight": 0}]}, {"1"}),
        ({"AdditionalVersionWeights": [{"Version": "2", "Weight": 0.5}]}, {"1", "2"}),
    ],
)
def test_the_shares_of_an_alias_decide_what_runs(
    cloud: ProductCloud, routing: dict[str, Any], versions: set[str]
) -> None:
    where = {"FunctionName": "shared"}
    if not cloud.product.http.get("/functions/shared").is_success:
        cloud.create("shared", bash_runtime('echo "$SCF_FUNCTIONVERSION"'))
        for version in ("1", "2"):
            cloud.call("PublishVersion", **where)
            cloud.active("shared", qualifier=version)
        cloud.call("CreateAlias", **where, Name="live", FunctionVersion="1")
    cloud.call("UpdateAlias", **where, Name="live", FunctionVersion="1", RoutingConfig=routing)
    # Of 40 fair throws all are the same once in 5 * 10 ** 11 times.
    assert {shown(cloud, "shared", Qualifier="live") for _ in range(40)} == versions
