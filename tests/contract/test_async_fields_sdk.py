"""Every field of the actions on asynchronous events, through the official SDK, and what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from api.cloud import times
from tests.contract.coverage_kit import drives
from tests.contract.sdk_kit import require_complete
from tests.support.product import bash_runtime
from tests.support.product_cloud import HANDLES_SIGTERM
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

LONG_LIVED = {"AsyncRunEnable": "TRUE", "TraceEnable": "TRUE", "Namespace": "later"}
WHERE = {"FunctionName": "several", "Namespace": "later"}
FAILS_WHEN_TOLD = bash_runtime(
    'case "$1" in *fail*) curl -s -o /dev/null -d broken $api/invocation/error;; esac; echo "$1"'
)


class Events(NamedTuple):
    """The product with two events that have ended, one after the other."""

    cloud: ProductCloud
    finished: str
    failed: str

    def listed(self, **params: Any) -> list[str]:
        found = self.cloud.call("ListAsyncEvents", **WHERE, **params)
        assert found.TotalCount >= len(found.EventList)
        return [event.InvokeRequestId for event in found.EventList]


@pytest.fixture(scope="module")
def later(cloud: ProductCloud) -> ProductCloud:
    """A namespace of its own."""
    cloud.call("CreateNamespace", Namespace="later")
    return cloud


@pytest.fixture(scope="module")
def events(later: ProductCloud) -> Events:
    """One event of ``$LATEST`` that succeeded, then one of version 1 that did not."""
    later.create("several", FAILS_WHEN_TOLD, **LONG_LIVED)
    later.call("PublishVersion", **WHERE)
    later.active("several", "later", "1")
    finished = later.send("several", '"well"', Namespace="later")
    wait_until(lambda: later.status(finished) == ("FINISHED", 200))
    failed = later.send("several", '"fail"', Namespace="later", Qualifier="1")
    wait_until(lambda: later.status(failed) == ("FAILED", 430))
    return Events(later, finished, failed)


@drives("ListAsyncEvents", "GetAsyncEventStatus")
def test_events_are_listed_with_every_field(events: Events) -> None:
    wide = {"Start": "2020-01-01 00:00:00", "End": "2120-01-01 00:00:00"}
    found = events.cloud.call(
        "ListAsyncEvents",
        **WHERE,
        Qualifier="1",
        InvokeType=["API", "COS"],
        Status=["FAILED", "ABORTED"],
        StartTimeInterval=wide,
        EndTimeInterval=wide,
        Order="ASC",
        Orderby="EndTime",
        Offset=0,
        Limit=5,
        InvokeRequestId=events.failed,
    )
    require_complete(found)
    (event,) = found.EventList
    assert (event.InvokeRequestId, event.Status, event.Qualifier) == (events.failed, "FAILED", "1")
    assert event.StartTime <= event.EndTime
    status = events.cloud.call("GetAsyncEventStatus", InvokeRequestId=events.failed)
    require_complete(status)
    assert (status.Result.Status, status.Result.StatusCode) == ("FAILED", 430)


def test_each_filter_leaves_out_what_it_should(events: Events) -> None:
    finished, failed = events.finished, events.failed
    assert events.listed() == [failed, finished]
    assert events.listed(Qualifier="$LATEST") == [finished]
    assert events.listed(Qualifier="1") == [failed]
    assert events.listed(Status=["FINISHED"]) == [finished]
    assert events.listed(Status=["RUNNING", "ABORTED"]) == []
    assert events.listed(Status=["FAILED", "FINISHED"]) == [failed, finished]
    assert events.listed(InvokeType=["API"]) == [failed, finished]
    assert events.listed(InvokeType=["COS"]) == []
    assert events.listed(InvokeRequestId=finished) == [finished]
    missing = events.cloud.call("ListAsyncEvents", FunctionName="several", Namespace="later")
    assert missing.TotalCount == 2
    assert events.cloud.error("ListAsyncEvents", FunctionName="several") == (
        "ResourceNotFound.Function"
    )


@pytest.mark.parametrize("by", ["StartTime", "EndTime"])
def test_events_come_in_either_order_page_by_page(events: Events, by: str) -> None:
    ascending = [events.finished, events.failed]
    assert events.listed(Orderby=by, Order="ASC") == ascending
    assert events.listed(Orderby=by, Order="DESC") == ascending[::-1]
    assert [events.listed(Orderby=by, Order="ASC", Offset=at, Limit=1) for at in range(3)] == [
        [ascending[0]],
        [ascending[1]],
        [],
    ]


@pytest.mark.parametrize(
    ("field", "interval"), [("StartTime", "StartTimeInterval"), ("EndTime", "EndTimeInterval")]
)
def test_an_interval_has_its_start_and_not_its_end(
    events: Events, field: str, interval: str
) -> None:
    found = events.cloud.call("ListAsyncEvents", **WHERE, InvokeRequestId=events.failed)
    second = times.from_text(getattr(found.EventList[0], field)[:19])

    def within(start: float, end: float) -> bool:
        span = {"Start": times.to_text(start), "End": times.to_text(end)}
        return events.failed in events.listed(**{interval: span})

    assert within(second, second + 1)
    assert not within(second - 60, second)
    assert not within(second + 1, second + 60)


@drives("TerminateAsyncEvent")
def test_an_event_is_ended_where_it_is_and_nowhere_else(later: ProductCloud) -> None:
    later.create("ended", HANDLES_SIGTERM, **LONG_LIVED)
    request_id = later.send("ended", Namespace="later")
    assert later.status(request_id) == ("RUNNING", 202)
    wait_until(lambda: "working" in log_of(later, "ended", request_id))
    which = {"FunctionName": "ended", "InvokeRequestId": request_id, "GraceShutdown": True}
    assert later.error("TerminateAsyncEvent", **which) == "ResourceNotFound.Function"
    assert later.status(request_id) == ("RUNNING", 202)
    later.call("TerminateAsyncEvent", **which, Namespace="later")
    wait_until(lambda: later.status(request_id) == ("FINISHED", 200))
    assert "Signal received successfully" in log_of(later, "ended", request_id)


@pytest.mark.parametrize("graceful", [False, None])
def test_without_grace_an_event_is_aborted_at_once(
    later: ProductCloud, graceful: bool | None
) -> None:
    name = f"aborted-{graceful}".lower()
    later.create(name, HANDLES_SIGTERM, **LONG_LIVED)
    request_id = later.send(name, Namespace="later")
    wait_until(lambda: "working" in log_of(later, name, request_id))
    which = {"FunctionName": name, "InvokeRequestId": request_id, "Namespace": "later"}
    later.call("TerminateAsyncEvent", **which, GraceShutdown=graceful)
    assert later.status(request_id) == ("ABORTED", 499)
    assert "told" not in log_of(later, name, request_id)


def log_of(cloud: ProductCloud, name: str, request_id: str) -> str:
    which = {"FunctionName": name, "Namespace": "later", "FunctionRequestId": request_id}
    data = cloud.call("GetFunctionLogs", **which).Data
    return str(data[0].Log) if data else ""


@drives("UpdateFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig")
def test_how_events_are_retried_is_told_for_every_qualifier_and_obeyed(later: ProductCloud) -> None:
    where = {"FunctionName": "retried", "Namespace": "later"}
    queue = {"Type": "cmq-queue", "Name": "dead"}
    later.create("retried", FAILS_WHEN_TOLD, Namespace="later", DeadLetterConfig=queue)
    later.call("PublishVersion", **where)
    config = {"RetryConfig": [{"RetryNum": 1}], "MsgTTL": 3600}
    later.call("UpdateFunctionEventInvokeConfig", **where, AsyncTriggerConfig=config)
    for qualifier in ("$LATEST", "1", "$DEFAULT"):
        found = later.call("GetFunctionEventInvokeConfig", **where, Qualifier=qualifier)
        require_complete(found)
        assert found.AsyncTriggerConfig._serialize() == config
    missing = later.error("GetFunctionEventInvokeConfig", **where, Qualifier="9")
    assert missing == "InvalidParameterValue.Qualifier"

    request_id = later.send("retried", '"fail"', Namespace="later")
    asked = {"namespace": "later", "function": "retried"}
    [letter] = wait_until(
        lambda: later.product.http.get("/dead-letters", params=asked).json()["dead_letters"]
    )
    assert letter["request_id"] == request_id
    body = letter["message"]["Body"]
    assert (body["RetryNum"], body["Ttl"]) == (1, 3600)
