"""GetFunctionLogs and GetRequestStatus over real records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.scf.v20180416 import models as sdk

from api.cloud import times
from tests.contract.cloud_kit import LocalCloud, fields_of, running_cloud
from tests.contract.record_kit import MIB, MOMENT, keep, record

if TYPE_CHECKING:
    from pathlib import Path


async def ids(cloud: LocalCloud, **params: Any) -> list[str]:
    answer = await cloud.call("GetFunctionLogs", FunctionName="echo", **params)
    assert "Error" not in answer, answer
    return [item["RequestId"] for item in answer["Data"]]


async def test_a_log_entry_has_every_field_and_the_request_s_lines(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        keep(cloud, record("r1", retry_num=1))
        answer = await cloud.call("GetFunctionLogs", FunctionName="echo")
    assert set(answer) == fields_of(sdk.GetFunctionLogsResponse)
    assert set(answer["SearchContext"]) == fields_of(sdk.LogSearchContext)
    (item,) = answer["Data"]
    log = item.pop("Log")
    assert item == {
        "FunctionName": "echo",
        "RetMsg": "result of r1",
        "RequestId": "r1",
        "StartTime": "2026-01-02 11:04:05",
        "RetCode": 0,
        "InvokeFinished": 1,
        "Duration": 12.5,
        "BillDuration": 13,
        "MemUsage": 3 * MIB,
        "Level": "",
        "Source": "",
        "RetryNum": 1,
    }
    assert {*item, "Log"} == fields_of(sdk.FunctionLog)
    assert log.startswith("START RequestId:r1\nline of r1\n")
    assert "\nEND RequestId:r1\n" in log


@pytest.mark.parametrize(
    ("status", "log_code", "finished", "status_code"),
    [(200, 0, 1, 0), (202, 2, 0, 1), (499, 3, 1, -1), (433, 1, 1, -1), (430, 1, 1, -1)],
)
async def test_the_two_actions_have_two_conventions_for_the_return_code(
    tmp_path: Path, status: int, log_code: int, finished: int, status_code: int
) -> None:
    now = time.time()
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        keep(cloud, record("r1", status, started_at=now))
        (item,) = (await cloud.call("GetFunctionLogs", FunctionName="echo"))["Data"]
        answer = await cloud.call("GetRequestStatus", FunctionName="echo", FunctionRequestId="r1")
    (state,) = answer["Data"]
    assert (item["RetCode"], item["InvokeFinished"]) == (log_code, finished)
    assert state["RetCode"] == status_code


async def test_a_request_status_has_every_field_and_its_memory_in_megabytes(
    tmp_path: Path,
) -> None:
    now = time.time()
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        keep(cloud, record("r1", started_at=now), record("r2", started_at=now))
        answer = await cloud.call("GetRequestStatus", FunctionName="echo", FunctionRequestId="r1")
    assert set(answer) == fields_of(sdk.GetRequestStatusResponse)
    assert answer["TotalCount"] == 1
    (state,) = answer["Data"]
    assert set(state) == fields_of(sdk.RequestStatus)
    assert (state["MemUsage"], state["Duration"]) == (3, 12.5)
    assert state["StartTime"] == times.to_text(now)


async def test_a_request_status_looks_back_a_quarter_of_an_hour_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        keep(cloud, record("r1", started_at=MOMENT))
        asked = {"FunctionName": "echo", "FunctionRequestId": "r1"}
        recent = await cloud.call("GetRequestStatus", **asked)
        then = await cloud.call(
            "GetRequestStatus",
            **asked,
            StartTime="2026-01-02 11:00:00",
            EndTime="2026-01-02 11:30:00",
        )
    assert (recent["TotalCount"], then["TotalCount"]) == (0, 1)


async def test_logs_are_found_by_time_result_request_and_version(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        keep(
            cloud,
            record("r1", duration_ms=3, mem_usage=1),
            record("r2", 433, started_at=MOMENT + 60, duration_ms=1, mem_usage=3),
            record("r3", 430, started_at=MOMENT + 120, duration_ms=2, mem_usage=2),
            record("r4", started_at=MOMENT + 120, namespace="other"),
        )
        assert await ids(cloud) == ["r3", "r2", "r1"]
        assert await ids(cloud, Order="asc") == ["r1", "r2", "r3"]
        assert await ids(cloud, OrderBy="duration", Order="asc") == ["r2", "r3", "r1"]
        assert await ids(cloud, OrderBy="mem_usage", Order="DESC") == ["r2", "r3", "r1"]
        assert await ids(cloud, Offset=1, Limit=1) == ["r2"]
        assert await ids(cloud, FunctionRequestId="r2") == ["r2"]
        assert await ids(cloud, Qualifier="7") == []
        assert await ids(cloud, Filter={"RetCode": "is0"}) == ["r1"]
        assert await ids(cloud, Filter={"RetCode": "not0"}) == ["r3", "r2"]
        assert await ids(cloud, Filter={"RetCode": "TimeLimitExceeded"}) == ["r2"]
        assert await ids(cloud, Filter={"RetCode": "UserCodeException"}) == ["r3"]
        minute = {"StartTime": "2026-01-02 11:04:05", "EndTime": "2026-01-02 11:05:04"}
        assert await ids(cloud, **minute) == ["r1"]


async def test_logs_may_be_asked_for_without_a_function(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        keep(cloud, record("r1"), record("r2", function_name="gone"))
        answer = await cloud.call("GetFunctionLogs", FunctionRequestId="r2")
    assert [item["FunctionName"] for item in answer["Data"]] == ["gone"]


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("GetFunctionLogs", {"FunctionName": "nobody"}, "ResourceNotFound.FunctionName"),
        ("GetFunctionLogs", {"Offset": 9_000, "Limit": 1_001}, "LimitExceeded.Offset"),
        ("GetFunctionLogs", {"Offset": -1}, "InvalidParameterValue.Offset"),
        ("GetFunctionLogs", {"Order": "up"}, "InvalidParameterValue.Order"),
        ("GetFunctionLogs", {"OrderBy": "size"}, "InvalidParameterValue.OrderBy"),
        ("GetFunctionLogs", {"Filter": {"RetCode": "bad"}}, "InvalidParameterValue.RetCode"),
        (
            "GetFunctionLogs",
            {"StartTime": "2026-01-02 11:00:00"},
            "InvalidParameterValue.StartTimeOrEndTime",
        ),
        (
            "GetFunctionLogs",
            {"StartTime": "yesterday", "EndTime": "today"},
            "InvalidParameterValue.DateTime",
        ),
        (
            "GetFunctionLogs",
            {"StartTime": "2026-01-02 11:00:00", "EndTime": "2026-01-03 11:00:01"},
            "InvalidParameterValue.DateTime",
        ),
        (
            "GetFunctionLogs",
            {"StartTime": "2026-01-02 11:00:01", "EndTime": "2026-01-02 11:00:00"},
            "InvalidParameterValue.DateTime",
        ),
        ("GetRequestStatus", {}, "MissingParameter"),
        (
            "GetRequestStatus",
            {"FunctionRequestId": "r", "EndTime": "2026-01-02 11:00:00"},
            "InvalidParameterValue.StartTimeOrEndTime",
        ),
    ],
)
async def test_a_log_request_that_is_wrong_gets_the_platforms_code(
    tmp_path: Path, action: str, params: dict[str, Any], code: str
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        assert await cloud.code_of(action, **{"FunctionName": "echo", **params}) == code


def test_a_day_to_the_second_is_still_one_day() -> None:
    start = times.from_text("2026-01-02 00:00:00")
    assert times.to_text(start + 86_400) == "2026-01-03 00:00:00"
    assert times.to_text(MOMENT) == "2026-01-02 11:04:05"
