"""Asynchronous invocations through the official SDK: the whole product, on the process engine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.product import bash_runtime
from tests.support.product_cloud import HANDLES_SIGTERM, IGNORANT_OF_SIGTERM
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

FAILING = bash_runtime('curl -s -o /dev/null -d broken $api/invocation/error; echo "$1"')
LONG_LIVED = {"AsyncRunEnable": "TRUE", "TraceEnable": "TRUE", "Timeout": 86_400}
EVENTS = {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 3600}


def becomes(cloud: ProductCloud, request_id: str, status: str, code: int) -> None:
    wait_until(lambda: cloud.status(request_id) == (status, code))


def test_an_event_is_answered_with_its_id_and_run_later(cloud: ProductCloud) -> None:
    cloud.create("echo", bash_runtime())
    request_id = cloud.send("echo", '{"n": 1}')
    ended = cloud.ended("echo", request_id)
    assert (ended.RetCode, ended.RetMsg.strip(), ended.RetryNum) == (0, '{"n": 1}', 0)


def test_a_failing_event_is_retried_under_its_id_and_becomes_a_dead_letter(
    cloud: ProductCloud,
) -> None:
    queue = {"Type": "cmq-queue", "Name": "dead"}
    cloud.create("failing", FAILING, DeadLetterConfig=queue)
    request_id = cloud.send("failing", '{"n": 1}')
    [letter] = wait_until(lambda: letters(cloud, "failing"))
    assert letter["request_id"] == request_id
    assert (letter["queue_type"], letter["queue_name"]) == ("cmq-queue", "dead")
    assert letter["dropped"] is False
    assert letter["message"]["ErrorMessage"] == "broken"
    assert letter["message"]["Body"]["RetryNum"] == 2
    assert cloud.ended("failing", request_id).RetryNum == 2


def test_a_dead_letter_can_be_redriven_and_deleted_by_rest(cloud: ProductCloud) -> None:
    queue = {"Type": "cmq-topic", "Name": "dead"}
    cloud.create("redriven", FAILING, DeadLetterConfig=queue)
    cloud.call(
        "UpdateFunctionEventInvokeConfig",
        FunctionName="redriven",
        AsyncTriggerConfig={"RetryConfig": [{"RetryNum": 0}], "MsgTTL": 60},
    )
    first = cloud.send("redriven")
    wait_until(lambda: letters(cloud, "redriven"))
    http = cloud.product.http
    answer = http.post(f"/dead-letters/{first}/redrive")
    assert answer.status_code == 202
    second = answer.json()["request_id"]
    [letter] = wait_until(lambda: letters(cloud, "redriven", second))
    assert letter["message"]["Body"]["RetryNum"] == 0
    assert http.delete(f"/dead-letters/{second}").status_code == 204
    assert letters(cloud, "redriven") == []
    gone = http.delete(f"/dead-letters/{second}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "ResourceNotFound")


def letters(cloud: ProductCloud, name: str, request_id: str = "") -> list[dict[str, object]]:
    found = cloud.product.http.get("/dead-letters", params={"function": name}).json()
    assert found["total"] == len(found["dead_letters"])
    return [item for item in found["dead_letters"] if request_id in item["request_id"]]


def test_the_retries_of_a_function_are_what_was_set(cloud: ProductCloud) -> None:
    cloud.create("retries", bash_runtime())
    found = cloud.call("GetFunctionEventInvokeConfig", FunctionName="retries").AsyncTriggerConfig
    assert ([item.RetryNum for item in found.RetryConfig], found.MsgTTL) == ([2], 21_600)
    cloud.call("UpdateFunctionEventInvokeConfig", FunctionName="retries", AsyncTriggerConfig=EVENTS)
    found = cloud.call("GetFunctionEventInvokeConfig", FunctionName="retries").AsyncTriggerConfig
    assert ([item.RetryNum for item in found.RetryConfig], found.MsgTTL) == ([1], 3600)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"RetryConfig": [{"RetryNum": 3}], "MsgTTL": 3600}, "LimitExceeded.RetryNum"),
        ({"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 59}, "LimitExceeded.MsgTTL"),
        ({"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 21_601}, "LimitExceeded.MsgTTL"),
        (
            {"RetryConfig": [{"RetryNum": -1}], "MsgTTL": 3600},
            "InvalidParameterValue.AsyncTriggerConfig",
        ),
        ({"RetryConfig": [], "MsgTTL": 3600}, "InvalidParameterValue.AsyncTriggerConfig"),
        ({"RetryConfig": [{"RetryNum": 1}]}, "MissingParameter"),
        (
            {"RetryConfig": [{"RetryNum": "x"}], "MsgTTL": 60},
            "InvalidParameterValue.AsyncTriggerConfig",
        ),
    ],
)
def test_retries_that_the_platform_refuses_are_refused(
    cloud: ProductCloud, config: dict[str, object], code: str
) -> None:
    if not cloud.product.http.get("/functions/refused").is_success:
        cloud.create("refused", bash_runtime())
    action = "UpdateFunctionEventInvokeConfig"
    assert cloud.error(action, FunctionName="refused", AsyncTriggerConfig=config) == code


def test_the_retries_of_what_is_not_there_are_not_found(cloud: ProductCloud) -> None:
    missing = "ResourceNotFound.FunctionName"
    action = "GetFunctionEventInvokeConfig"
    assert cloud.error(action, FunctionName="nothing") == missing
    action = "UpdateFunctionEventInvokeConfig"
    assert cloud.error(action, FunctionName="nothing", AsyncTriggerConfig=EVENTS) == missing


def test_a_function_with_asynchronous_execution_answers_any_invoke_at_once(
    cloud: ProductCloud,
) -> None:
    cloud.create("long", bash_runtime("sleep 0.3; echo done"), **LONG_LIVED)
    for action, event in (("Invoke", "ClientContext"), ("InvokeFunction", "Event")):
        result = cloud.call(action, FunctionName="long", **{event: "{}"}).Result
        assert (result.RetMsg, result.InvokeResult) == ("", 0)
        assert cloud.status(result.FunctionRequestId) == ("RUNNING", 202)
        becomes(cloud, result.FunctionRequestId, "FINISHED", 200)
    answer = cloud.product.invoke("long")
    assert answer.response.status_code == 202
    assert cloud.ended("long", answer.response.json()["request_id"]).RetMsg.strip() == "done"


def test_events_are_listed_with_their_states(cloud: ProductCloud) -> None:
    cloud.create("listed", FAILING, **LONG_LIVED)
    ids = [cloud.send("listed") for _ in range(3)]
    for request_id in ids:
        becomes(cloud, request_id, "FAILED", 430)
    found = cloud.call("ListAsyncEvents", FunctionName="listed", Order="ASC")
    assert found.TotalCount == 3
    assert [event.InvokeRequestId for event in found.EventList] == ids
    first = found.EventList[0]
    assert (first.InvokeType, first.Qualifier, first.Status) == ("API", "$LATEST", "FAILED")
    for time in (first.StartTime, first.EndTime):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", time)
    page = cloud.call("ListAsyncEvents", FunctionName="listed", Limit=1, Offset=1)
    assert [event.InvokeRequestId for event in page.EventList] == [ids[1]]
    assert page.TotalCount == 3
    nothing = cloud.call("ListAsyncEvents", FunctionName="listed", Status=["FINISHED"])
    assert (nothing.TotalCount, nothing.EventList) == (0, [])
    past = {"Start": "2020-01-01 00:00:00", "End": "2020-01-02 00:00:00"}
    assert (
        cloud.call("ListAsyncEvents", FunctionName="listed", StartTimeInterval=past).TotalCount == 0
    )
    wide = {"Start": "2020-01-01 00:00:00", "End": "2120-01-02 00:00:00"}
    many = cloud.call(
        "ListAsyncEvents",
        FunctionName="listed",
        Qualifier="$DEFAULT",
        InvokeType=["API", "COS"],
        Status=["FAILED", "RUNNING"],
        StartTimeInterval=wide,
        EndTimeInterval=wide,
        Orderby="EndTime",
        InvokeRequestId=ids[2],
    )
    assert [event.InvokeRequestId for event in many.EventList] == [ids[2]]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"FunctionName": "nothing"}, "ResourceNotFound.Function"),
        ({"Qualifier": "7"}, "ResourceNotFound.Version"),
        ({"Status": ["DONE"]}, "InvalidParameterValue.Status"),
        ({"InvokeType": ["SMOKE"]}, "InvalidParameterValue.InvokeType"),
        ({"Order": "UP"}, "InvalidParameterValue.Order"),
        ({"Orderby": "Name"}, "InvalidParameterValue.Order"),
        ({"Limit": 101}, "InvalidParameterValue.Limit"),
        ({"Offset": -1}, "InvalidParameterValue"),
        ({"StartTimeInterval": {"Start": "now", "End": "then"}}, "InvalidParameterValue"),
    ],
)
def test_lists_that_the_platform_refuses_are_refused(
    cloud: ProductCloud, params: dict[str, object], code: str
) -> None:
    if not cloud.product.http.get("/functions/unlisted").is_success:
        cloud.create("unlisted", bash_runtime())
    assert cloud.error("ListAsyncEvents", **{"FunctionName": "unlisted", **params}) == code


def test_a_running_event_is_terminated_with_its_instance(cloud: ProductCloud) -> None:
    cloud.create("endless", IGNORANT_OF_SIGTERM, **LONG_LIVED)
    request_id = cloud.send("endless")
    cloud.working("endless", request_id)
    assert cloud.request_status("endless", request_id).RetCode == 1
    cloud.call("TerminateAsyncEvent", FunctionName="endless", InvokeRequestId=request_id)
    assert cloud.status(request_id) == ("ABORTED", 499)
    wait_until(lambda: cloud.product.instances("endless") == [])
    [item] = cloud.call(
        "GetFunctionLogs", FunctionName="endless", FunctionRequestId=request_id
    ).Data
    assert item.RetCode == 3
    params = {"FunctionName": "endless", "InvokeRequestId": request_id}
    assert cloud.error("TerminateAsyncEvent", **params) == "FailedOperation.AsyncEventStatus"
    params["InvokeRequestId"] = "none"
    assert cloud.error("TerminateAsyncEvent", **params) == "ResourceNotFound.AsyncEvent"
    params["FunctionName"] = "nothing"
    assert cloud.error("TerminateAsyncEvent", **params) == "ResourceNotFound.Function"
    assert cloud.error("GetAsyncEventStatus", InvokeRequestId="none") == (
        "ResourceNotFound.AsyncEvent"
    )


def test_a_graceful_end_lets_the_bootstrap_wind_up(cloud: ProductCloud) -> None:
    cloud.create("graceful", HANDLES_SIGTERM, **LONG_LIVED)
    request_id = cloud.send("graceful")
    cloud.working("graceful", request_id)
    cloud.call(
        "TerminateAsyncEvent",
        FunctionName="graceful",
        InvokeRequestId=request_id,
        GraceShutdown=True,
    )
    becomes(cloud, request_id, "FINISHED", 200)
    log = cloud.log("graceful", request_id)
    assert "told\n" in log
    assert "[PLATFORM] Signal received successfully.\n" in log
    assert cloud.ended("graceful", request_id).RetMsg == "wound up"


def test_a_bootstrap_that_does_not_know_sigterm_ends_with_439(cloud: ProductCloud) -> None:
    cloud.create("ignorant", IGNORANT_OF_SIGTERM, **LONG_LIVED)
    request_id = cloud.send("ignorant")
    cloud.working("ignorant", request_id)
    cloud.call(
        "TerminateAsyncEvent",
        FunctionName="ignorant",
        InvokeRequestId=request_id,
        GraceShutdown=True,
    )
    becomes(cloud, request_id, "FAILED", 439)
    error = json.loads(cloud.ended("ignorant", request_id).RetMsg)
    assert error["errorMessage"] == "User process exit when running"
    assert "[PLATFORM] Signal received successfully.\n" in cloud.log("ignorant", request_id)


def test_kill_9_of_the_control_plane_loses_no_event(cloud: ProductCloud) -> None:
    cloud.create("survivor", bash_runtime('sleep 0.05; echo "$1"'))
    ids = [cloud.send("survivor", str(number)) for number in range(30)]
    cloud.product.kill()
    cloud.product.start()
    for number, request_id in enumerate(ids):
        ended = cloud.ended("survivor", request_id)
        assert (ended.RetCode, ended.RetMsg.strip()) == (0, str(number))
