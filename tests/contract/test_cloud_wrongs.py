"""Whatever is wrong with whichever field: the answer is one that the platform lists."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from api.cloud.coverage import FIELDS
from sandbox.errors import NotFoundError
from tests.contract.cloud_kit import LocalCloud, running_cloud
from tests.contract.coverage_kit import paths_of, sample_of, types_of
from tests.contract.listed_codes import require_listed
from tests.contract.record_kit import keep, record
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from pathlib import Path

#: Nothing of the right type and sense for any field, each in its own way.
WRONGS: tuple[Any, ...] = (
    None, "", "nobody", "-bad-", "x" * 2000, "\ud800", "1e9", "9" * 20, 0, -1, 10**9, 2**63,
    1.5, True, [], ["x"], [None], [{}], {}, {"x": "y"},
)  # fmt: skip

#: A request of each action that is answered well, without what all have in common.
GOOD: dict[str, dict[str, Any]] = {
    "CreateFunction": {
        "FunctionName": "new",
        "Runtime": "CustomRuntime",
        "Code": {"ZipFile": zip_text()},
    },
    "UpdateFunctionCode": {"ZipFile": zip_text()},
    "UpdateFunctionConfiguration": {"Timeout": 5},
    "CopyFunction": {"NewFunctionName": "copy"},
    "DeleteFunctionVersion": {"Qualifier": "2"},
    "CreateAlias": {"Name": "new", "FunctionVersion": "1"},
    "GetAlias": {"Name": "live"},
    "UpdateAlias": {"Name": "live", "FunctionVersion": "1"},
    "DeleteAlias": {"Name": "live"},
    "PublishLayerVersion": {
        "LayerName": "tools",
        "CompatibleRuntimes": ["CustomRuntime"],
        "Content": {"ZipFile": zip_text()},
    },
    "GetLayerVersion": {"LayerName": "tools", "LayerVersion": 1},
    "ListLayerVersions": {"LayerName": "tools"},
    "DeleteLayerVersion": {"LayerName": "tools", "LayerVersion": 1},
    "CreateNamespace": {"Namespace": "new"},
    "UpdateNamespace": {"Namespace": "stage", "Description": "d"},
    "DeleteNamespace": {"Namespace": "empty"},
    "UpdateFunctionEventInvokeConfig": {
        "AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 60}
    },
    "GetRequestStatus": {"FunctionRequestId": "r1"},
    "PutReservedConcurrencyConfig": {"ReservedConcurrencyMem": 128},
    "PutProvisionedConcurrencyConfig": {
        "Qualifier": "1",
        "VersionProvisionedConcurrencyNum": 1,
    },
    "DeleteProvisionedConcurrencyConfig": {"Qualifier": "1"},
    "PutTotalConcurrencyConfig": {"TotalConcurrencyMem": 64_000},
}
#: Those for which the stage has nothing that they could be asked of: they are answered with this.
NOT_FOUND = {
    "GetAsyncEventStatus": "ResourceNotFound.AsyncEvent",
    "TerminateAsyncEvent": "ResourceNotFound.AsyncEvent",
}


#: What can be made once only: each request asks for another.
NEW = {
    "CreateFunction": "FunctionName",
    "CopyFunction": "NewFunctionName",
    "CreateAlias": "Name",
    "CreateNamespace": "Namespace",
}


async def set_stage(cloud: LocalCloud) -> None:
    """What the good requests are about."""
    for namespace in ("stage", "empty"):
        await cloud.call("CreateNamespace", Namespace=namespace)
    await cloud.create(Namespace="stage")
    where = {"FunctionName": "echo", "Namespace": "stage"}
    for _ in range(2):
        await cloud.call("PublishVersion", **where)
    await cloud.functions.settled("stage", "echo")
    await cloud.call("CreateAlias", **where, Name="live", FunctionVersion="1")
    await cloud.call("PublishLayerVersion", **GOOD["PublishLayerVersion"])
    keep(cloud, record("r1", namespace="stage"))


def good(action: str, number: int) -> dict[str, Any]:
    """A request that is answered well, as long as no other had this number."""
    known = types_of(f"{action}Request")
    params = dict(GOOD.get(action, {}))
    for name, value in (("FunctionName", "echo"), ("Namespace", "stage")):
        if name in known and name not in params:
            params[name] = value
    if action in NOT_FOUND:
        params["InvokeRequestId"] = "none"
    if action in NEW:
        params[NEW[action]] = f"new-{number}"
    return params


def with_wrong(action: str, path: str, wrong: Any, number: int) -> dict[str, Any]:
    """A good request but for one field, which may be in a structure, and so in a sample of it."""
    params = good(action, number)
    field, *names = path.split(".")
    if not names:
        return {**params, field: wrong}
    params[field] = deepcopy(sample_of(f"{action}Request")[field])
    place: Any = params[field]
    for name in names[:-1]:
        place = (place[0] if isinstance(place, list) else place)[name]
    (place[0] if isinstance(place, list) else place)[names[-1]] = wrong
    return params


async def code_of(cloud: LocalCloud, action: str, params: dict[str, Any]) -> str:
    """The code of the error; empty when there is none."""
    body = json.dumps(params)
    response = await cloud.client.post("/", content=body, headers={"X-TC-Action": action})
    code: str = response.json()["Response"].get("Error", {}).get("Code", "")
    with suppress(NotFoundError):
        await cloud.functions.settled("stage", "echo")
    return code


@pytest.mark.parametrize("action", sorted(FIELDS))
async def test_a_wrong_value_of_any_field_is_answered_in_the_action_s_own_codes(
    tmp_path: Path, action: str
) -> None:
    async with running_cloud(tmp_path, functions_per_namespace=1000, namespaces=1000) as cloud:
        await set_stage(cloud)
        assert await code_of(cloud, action, good(action, 0)) == NOT_FOUND.get(action, "")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    async with running_cloud(fresh, functions_per_namespace=1000, namespaces=1000) as cloud:
        await set_stage(cloud)
        number = 1
        for path in sorted(paths_of(f"{action}Request")):
            for wrong in WRONGS:
                number += 1
                code = await code_of(cloud, action, with_wrong(action, path, wrong, number))
                if code:
                    assert not code.startswith("InternalError"), (path, wrong)
                    require_listed(action, code)
