"""Reserved, provisioned and total concurrency through the official SDK, on the whole product."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.coverage_kit import drives
from tests.support.product import bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.product_cloud import ProductCloud

RESERVED = (
    "PutReservedConcurrencyConfig",
    "GetReservedConcurrencyConfig",
    "DeleteReservedConcurrencyConfig",
)
PROVISIONED = (
    "PutProvisionedConcurrencyConfig",
    "GetProvisionedConcurrencyConfig",
    "DeleteProvisionedConcurrencyConfig",
)

#: Holds an event until something listens on the port that it names.
HELD = bash_runtime(
    "port=${1//[^0-9]/}; until (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do"
    ' read -r -t 0.02 _ <> <(:); done; echo "$port"'
)


def invoke(cloud: ProductCloud, name: str, **params: Any) -> Any:
    return cloud.call("Invoke", FunctionName=name, **params).Result


def refused(cloud: ProductCloud, name: str, **params: Any) -> str:
    """The message of a 432."""
    result = invoke(cloud, name, **params)
    error = json.loads(result.ErrMsg)
    assert (result.InvokeResult, error["statusCode"], result.Duration) == (-1, 432, 0)
    message: str = error["errorMessage"]
    return message


def published(cloud: ProductCloud, name: str, bootstrap: str, **params: Any) -> None:
    """A function with version 1, Active."""
    cloud.create(name, bootstrap, **params)
    cloud.call("PublishVersion", FunctionName=name)
    cloud.active(name, qualifier="1")


def allocated(cloud: ProductCloud, name: str) -> Any:
    found = cloud.call("GetProvisionedConcurrencyConfig", FunctionName=name).Allocated
    return found[0] if found else None


def provisioned(cloud: ProductCloud, name: str) -> Callable[[], bool]:
    return lambda: allocated(cloud, name).Status == "Done"


def listed(cloud: ProductCloud, name: str) -> Any:
    return cloud.call("ListFunctions", SearchKey=name).Functions[0]


@drives(*RESERVED)
def test_a_function_is_shut_off_capped_and_let_go_again(cloud: ProductCloud) -> None:
    which = {"FunctionName": "capped", "Namespace": "default"}
    cloud.create("capped", bash_runtime())
    assert cloud.call("GetReservedConcurrencyConfig", **which).ReservedMem is None
    cloud.call("PutReservedConcurrencyConfig", **which, ReservedConcurrencyMem=0)
    message = "Function [ capped ] concurrency exceeded reserved quota 0 MB"
    assert refused(cloud, "capped") == message
    assert listed(cloud, "capped").ReservedConcurrencyMem == 0
    cloud.call("PutReservedConcurrencyConfig", **which, ReservedConcurrencyMem=128)
    assert cloud.call("GetReservedConcurrencyConfig", **which).ReservedMem == 128
    assert invoke(cloud, "capped").InvokeResult == 0
    cloud.call("DeleteReservedConcurrencyConfig", **which)
    assert listed(cloud, "capped").ReservedConcurrencyMem is None
    assert invoke(cloud, "capped").InvokeResult == 0


def test_a_cap_counts_the_events_that_run_at_the_same_time(cloud: ProductCloud) -> None:
    cloud.create("narrow", HELD, Timeout=30)
    cloud.call("PutReservedConcurrencyConfig", FunctionName="narrow", ReservedConcurrencyMem=128)
    results: list[Any] = []
    with socket.socket() as gate:
        gate.bind(("127.0.0.1", 0))
        event = json.dumps({"port": gate.getsockname()[1]})

        def first() -> None:
            results.append(invoke(cloud, "narrow", ClientContext=event))

        runs = threading.Thread(target=first)
        runs.start()
        wait_until(lambda: any(i["state"] == "busy" for i in cloud.product.instances("narrow")))
        message = "Function [ narrow ] concurrency exceeded reserved quota 128 MB"
        assert refused(cloud, "narrow", ClientContext=event) == message
        gate.listen()
        runs.join(20)
        assert results[0].InvokeResult == 0
        assert invoke(cloud, "narrow", ClientContext=event).InvokeResult == 0
    cloud.call("DeleteFunction", FunctionName="narrow")


def test_an_asynchronous_event_over_quota_is_tried_again_and_does_not_count_as_a_retry(
    cloud: ProductCloud,
) -> None:
    cloud.create("later", bash_runtime())
    cloud.call("PutReservedConcurrencyConfig", FunctionName="later", ReservedConcurrencyMem=0)
    request_id = cloud.send("later", '{"n":1}')
    wait_until(lambda: (found := cloud.request_status("later", request_id)) and found.RetCode != 1)
    cloud.call("DeleteReservedConcurrencyConfig", FunctionName="later")
    wait_until(lambda: cloud.request_status("later", request_id).RetCode == 0)
    assert cloud.request_status("later", request_id).RetryNum == 0


@drives(*PROVISIONED)
def test_instances_are_initialised_ahead_kept_and_let_go(cloud: ProductCloud) -> None:
    published(cloud, "ready", bash_runtime(), MemorySize=256)
    which = {"FunctionName": "ready", "Namespace": "default", "Qualifier": "1"}
    put = {**which, "VersionProvisionedConcurrencyNum": 2, "ProvisionedType": "Default"}
    for name in ("TrackingTarget", "MinCapacity", "MaxCapacity"):
        assert cloud.error(PROVISIONED[0], **put, **{name: 1}) == "UnsupportedOperation"
    assert cloud.product.instances("ready") == []
    room = cloud.call(PROVISIONED[1], **which).UnallocatedConcurrencyNum
    cloud.call(PROVISIONED[0], **put)
    wait_until(provisioned(cloud, "ready"))
    states = [(i["state"], i["version"]) for i in cloud.product.instances("ready")]
    assert states == [("idle", "1"), ("idle", "1")]
    found = cloud.call(PROVISIONED[1], **which)
    assert found.UnallocatedConcurrencyNum == room - 2
    [one] = found.Allocated
    assert (one.Qualifier, one.Status, one.StatusReason) == ("1", "Done", "")
    counts = (one.AllocatedProvisionedConcurrencyNum, one.AvailableProvisionedConcurrencyNum)
    assert counts == (2, 2)
    assert listed(cloud, "ready").TotalProvisionedConcurrencyMem == 512
    later = {
        "TriggerName": "fewer",
        "TriggerProvisionedConcurrencyNum": 1,
        "TriggerCronConfig": "* * * * * * *",
        "ProvisionedType": "Default",
    }
    cloud.call(PROVISIONED[0], **put, TriggerActions=[later])
    wait_until(lambda: allocated(cloud, "ready").AllocatedProvisionedConcurrencyNum == 1)
    [timer] = cloud.call(PROVISIONED[1], **which).Allocated[0].TriggerActions
    assert timer._serialize() == later
    cloud.call("Invoke", FunctionName="ready", Qualifier="1", LogType="Tail")
    assert "Init Report" not in invoke(cloud, "ready", Qualifier="1", LogType="Tail").Log
    cloud.call(PROVISIONED[2], **which)
    assert cloud.call(PROVISIONED[1], **which).Allocated == []
    assert listed(cloud, "ready").TotalProvisionedConcurrencyMem == 0


def test_an_instance_that_crashes_is_replaced(cloud: ProductCloud) -> None:
    published(cloud, "crashing", bash_runtime("exit 3"))
    put = {"FunctionName": "crashing", "Qualifier": "1", "VersionProvisionedConcurrencyNum": 1}
    cloud.call("PutProvisionedConcurrencyConfig", **put)
    wait_until(provisioned(cloud, "crashing"))
    [before] = cloud.product.instances("crashing")
    error = json.loads(invoke(cloud, "crashing", Qualifier="1").ErrMsg)
    assert error["statusCode"] == 439

    def replaced() -> bool:
        ready = [i for i in cloud.product.instances("crashing") if i["state"] == "idle"]
        return bool(ready) and ready[0]["instance_id"] != before["instance_id"]

    wait_until(replaced)
    assert allocated(cloud, "crashing").Status == "Done"


def test_a_bootstrap_that_cannot_be_initialised_has_failed_with_its_reason(
    cloud: ProductCloud,
) -> None:
    published(cloud, "broken", "#!/bin/bash\necho no such thing\nexit 4\n")
    put = {"FunctionName": "broken", "Qualifier": "1", "VersionProvisionedConcurrencyNum": 1}
    cloud.call("PutProvisionedConcurrencyConfig", **put)
    wait_until(lambda: allocated(cloud, "broken").Status == "Failed")
    reason = allocated(cloud, "broken").StatusReason
    assert "ended with exit code 4" in reason
    assert "no such thing" in reason
    cloud.call("DeleteFunction", FunctionName="broken")


def test_while_instances_are_initialised_the_number_cannot_be_changed(cloud: ProductCloud) -> None:
    slow = bash_runtime(init="until [ -e $TMPDIR/never ]; do read -r -t 0.05 _ <> <(:); done")
    published(cloud, "slow", slow, InitTimeout=30)
    put = {"FunctionName": "slow", "Qualifier": "1", "VersionProvisionedConcurrencyNum": 1}
    cloud.call("PutProvisionedConcurrencyConfig", **put)
    assert allocated(cloud, "slow").Status == "InProgress"
    code = "FailedOperation.ProvisionedInProgress"
    assert cloud.error("PutProvisionedConcurrencyConfig", **put) == code
    which = {"FunctionName": "slow", "Qualifier": "1"}
    assert cloud.error("DeleteProvisionedConcurrencyConfig", **which) == code
    cloud.call("DeleteFunction", FunctionName="slow")
    wait_until(lambda: cloud.product.instances("slow") == [])


@drives("PutTotalConcurrencyConfig")
def test_the_total_of_a_namespace_is_shared(cloud: ProductCloud) -> None:
    cloud.call("CreateNamespace", Namespace="small")
    cloud.create("greedy", bash_runtime(), Namespace="small", MemorySize=256)
    cloud.call("PutTotalConcurrencyConfig", Namespace="small", TotalConcurrencyMem=128)
    message = "Function [ greedy ] concurrency exceeded region unreserved quota 128 MB"
    assert refused(cloud, "greedy", Namespace="small") == message
    cloud.call("PutTotalConcurrencyConfig", Namespace="small", TotalConcurrencyMem=256)
    assert invoke(cloud, "greedy", Namespace="small").InvokeResult == 0
    usage = cloud.call("GetAccount").AccountUsage
    totals = {n.Namespace: n.TotalConcurrencyMem for n in usage.Namespace}
    assert totals == {"default": 128_000, "small": 256}
    cloud.call("DeleteFunction", FunctionName="greedy", Namespace="small")
    cloud.call("DeleteNamespace", Namespace="small")


def timed(**changes: Any) -> dict[str, Any]:
    """A valid TriggerAction, but for ``changes``."""
    return {
        "TriggerName": "nightly",
        "TriggerProvisionedConcurrencyNum": 1,
        "TriggerCronConfig": "0 0 2 * * * *",
        **changes,
    }


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("PutReservedConcurrencyConfig", {"ReservedConcurrencyMem": -1}, "InvalidParameterValue"),
        (
            "PutReservedConcurrencyConfig",
            {"ReservedConcurrencyMem": 115_201},
            "LimitExceeded.FunctionReservedConcurrencyMemory",
        ),
        (
            "PutReservedConcurrencyConfig",
            {"ReservedConcurrencyMem": 1, "Namespace": "nowhere"},
            "ResourceNotFound.Namespace",
        ),
        (
            "PutReservedConcurrencyConfig",
            {"ReservedConcurrencyMem": 1, "FunctionName": "nobody"},
            "ResourceNotFound.Function",
        ),
        ("GetReservedConcurrencyConfig", {"FunctionName": "nobody"}, "ResourceNotFound.Function"),
        ("DeleteReservedConcurrencyConfig", {"FunctionName": "no"}, "ResourceNotFound.Function"),
        (
            "PutProvisionedConcurrencyConfig",
            {"Qualifier": "$LATEST"},
            "InvalidParameterValue.Qualifier",
        ),
        (
            "PutProvisionedConcurrencyConfig",
            {"Qualifier": "$DEFAULT"},
            "InvalidParameterValue.Qualifier",
        ),
        ("PutProvisionedConcurrencyConfig", {"Qualifier": "9"}, "ResourceNotFound.FunctionVersion"),
        (
            "PutProvisionedConcurrencyConfig",
            {"VersionProvisionedConcurrencyNum": -1},
            "InvalidParameterValue",
        ),
        (
            "PutProvisionedConcurrencyConfig",
            {"VersionProvisionedConcurrencyNum": 1001},
            "FailedOperation.ProvisionedExceedAvailable",
        ),
        (
            "PutProvisionedConcurrencyConfig",
            {"ProvisionedType": "Never"},
            "InvalidParameterValue.ProvisionType",
        ),
        (
            "PutProvisionedConcurrencyConfig",
            {"ProvisionedType": "ConcurrencyUtilizationTracking"},
            "UnsupportedOperation",
        ),
        *(
            ("PutProvisionedConcurrencyConfig", {"TriggerActions": timers}, code)
            for timers, code in (
                ([timed(TriggerCronConfig="x")], "InvalidParameterValue.TriggerCronConfig"),
                ([timed(TriggerName="1")], "InvalidParameterValue.ProvisionTriggerName"),
                (
                    [timed(TriggerProvisionedConcurrencyNum=-1)],
                    "InvalidParameterValue.TriggerProvisionedConcurrencyNum",
                ),
                (
                    [timed(), timed(TriggerCronConfig="0 0 1 * * * *")],
                    "InvalidParameterValue.ProvisionTriggerNameDuplicate",
                ),
                (
                    [timed(), timed(TriggerName="b")],
                    "InvalidParameterValue.ProvisionTriggerCronConfigDuplicate",
                ),
                ([timed()] * 11, "LimitExceeded.ProvisionTriggerAction"),
                ([timed(ProvisionedType="x")], "InvalidParameterValue.ProvisionType"),
            )
        ),
        ("GetProvisionedConcurrencyConfig", {"Qualifier": "9"}, "ResourceNotFound.FunctionVersion"),
        (
            "DeleteProvisionedConcurrencyConfig",
            {"Qualifier": "$LATEST"},
            "InvalidParameterValue.Qualifier",
        ),
        ("PutTotalConcurrencyConfig", {"TotalConcurrencyMem": 127}, "InvalidParameterValue"),
        (
            "PutTotalConcurrencyConfig",
            {"TotalConcurrencyMem": 128_001},
            "LimitExceeded.UserTotalConcurrencyMemory",
        ),
        (
            "PutTotalConcurrencyConfig",
            {"TotalConcurrencyMem": 256, "Namespace": "nowhere"},
            "ResourceNotFound.Namespace",
        ),
    ],
)
def test_what_the_platform_refuses_is_refused(
    cloud: ProductCloud, refusable: str, action: str, params: dict[str, Any], code: str
) -> None:
    given: dict[str, Any] = {}
    if action != "PutTotalConcurrencyConfig":
        given["FunctionName"] = refusable
    if "Provisioned" in action:
        given["Qualifier"] = "1"
    if action == "PutProvisionedConcurrencyConfig":
        given["VersionProvisionedConcurrencyNum"] = 1
    assert cloud.error(action, **{**given, **params}) == code


def test_provisioned_and_reserved_must_fit(cloud: ProductCloud, refusable: str) -> None:
    which = {"FunctionName": refusable}
    put = {**which, "Qualifier": "1", "VersionProvisionedConcurrencyNum": 2}
    cloud.call("PutReservedConcurrencyConfig", **which, ReservedConcurrencyMem=128)
    code = "FailedOperation.ProvisionedExceedReserved"
    assert cloud.error("PutProvisionedConcurrencyConfig", **put) == code
    cloud.call("PutReservedConcurrencyConfig", **which, ReservedConcurrencyMem=256)
    cloud.call("PutProvisionedConcurrencyConfig", **put)
    wait_until(provisioned(cloud, refusable))
    too_little = {**which, "ReservedConcurrencyMem": 128}
    assert cloud.error("PutReservedConcurrencyConfig", **too_little) == code
    total = {"TotalConcurrencyMem": 128}
    code = "FailedOperation.ReservedExceedTotal"
    assert cloud.error("PutTotalConcurrencyConfig", **total) == code


@pytest.fixture(scope="module")
def refusable(cloud: ProductCloud) -> str:
    """A function with version 1."""
    published(cloud, "refusable", bash_runtime())
    return "refusable"
