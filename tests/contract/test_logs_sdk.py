"""GetFunctionLogs and GetRequestStatus through the official SDK: every filter, order and page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.coverage_kit import drives
from tests.contract.record_kit import MIB, MOMENT, keep, record
from tests.contract.sdk_kit import Sdk, cloud_at_address, require_complete
from tests.support.product import bash_runtime
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product_cloud import ProductCloud

MINUTE = {"StartTime": "2026-01-02 11:04:05", "EndTime": "2026-01-02 11:05:04"}

#: One record for each status that an invocation can end with, or be in.
STATUSES = (200, 202, 400, 406, 407, 430, 432, 433, 434, 435, 439, 442, 443, 449, 450, 499, 500)


@drives("GetFunctionLogs", "GetRequestStatus")
async def test_one_request_is_found_with_every_field(tmp_path: Path) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        await cloud.call("CreateNamespace", Namespace="stage")
        await cloud.create("echo", Namespace="stage")
        stage = {"namespace": "stage", "version": "1", "qualifier": "live", "retry_num": 2}
        keep(
            cloud,
            record("r1", 433, **stage),
            record("r2", 433, **{**stage, "started_at": MOMENT + 60}),
            record("r3", 433, **{**stage, "version": "2", "qualifier": "2"}),
            record("r4", 200, **stage),
            record("r5", 433),
        )
        context = {"Offset": "o", "Limit": 5, "Keyword": "k", "Type": "t"}
        found = await sdk.call(
            "GetFunctionLogs",
            FunctionName="echo",
            Namespace="stage",
            Qualifier="live",
            Offset=0,
            Limit=5,
            Order="asc",
            OrderBy="start_time",
            Filter={"RetCode": "TimeLimitExceeded"},
            FunctionRequestId="r1",
            SearchContext=context,
            **MINUTE,
        )
        require_complete(found)
        assert found.SearchContext._serialize() == context
        assert (found.TotalCount, [item.RequestId for item in found.Data]) == (1, ["r1"])
        item = found.Data[0]
        assert (item.RetCode, item.InvokeFinished, item.RetryNum) == (1, 1, 2)
        assert (item.MemUsage, item.Duration, item.BillDuration) == (3 * MIB, 12.5, 13)

        status = await sdk.call(
            "GetRequestStatus",
            FunctionName="echo",
            Namespace="stage",
            FunctionRequestId="r1",
            **MINUTE,
        )
        require_complete(status)
        state = status.Data[0]
        assert (state.RetCode, state.MemUsage, state.Duration) == (-1, 3.0, 12.5)
        assert (state.StartTime, state.RetryNum) == (item.StartTime, 2)


@pytest.mark.parametrize(
    ("wanted", "statuses"),
    [
        (None, STATUSES),
        ("is0", (200,)),
        ("not0", tuple(status for status in STATUSES if status not in (200, 202))),
        ("TimeLimitExceeded", (433, 450)),
        ("ResourceLimitExceeded", (432, 434, 449)),
        ("UserCodeException", (430, 439, 443)),
    ],
)
async def test_logs_are_filtered_by_what_became_of_the_request(
    tmp_path: Path, wanted: str | None, statuses: tuple[int, ...]
) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        await cloud.create()
        keep(cloud, *(record(str(status), status) for status in STATUSES))
        params = {"Filter": {"RetCode": wanted}} if wanted else {}
        found = await Sdk(address).call("GetFunctionLogs", FunctionName="echo", **params)
    assert {int(item.RequestId) for item in found.Data} == set(statuses)
    assert found.TotalCount == len(statuses)


@pytest.mark.parametrize(
    ("by", "ascending"),
    [
        ("function_name", ["echo-2", "echo-3", "echo-1"]),
        ("duration", ["echo-3", "echo-1", "echo-2"]),
        ("mem_usage", ["echo-1", "echo-3", "echo-2"]),
        ("start_time", ["echo-1", "echo-2", "echo-3"]),
    ],
)
async def test_logs_come_in_any_order_either_way_and_page_by_page(
    tmp_path: Path, by: str, ascending: list[str]
) -> None:
    async with cloud_at_address(tmp_path, signature="off") as (cloud, address):
        sdk = Sdk(address)
        keep(
            cloud,
            record("echo-1", function_name="c", duration_ms=2, mem_usage=1, started_at=MOMENT),
            record("echo-2", function_name="a", duration_ms=3, mem_usage=3, started_at=MOMENT + 1),
            record("echo-3", function_name="b", duration_ms=1, mem_usage=2, started_at=MOMENT + 2),
        )

        async def ids(**params: Any) -> list[str]:
            found = await sdk.call("GetFunctionLogs", OrderBy=by, **params)
            assert found.TotalCount == 3
            return [item.RequestId for item in found.Data]

        assert await ids(Order="asc") == ascending
        assert await ids(Order="desc") == await ids() == ascending[::-1]
        pages = [await ids(Order="asc", Offset=at, Limit=1) for at in range(4)]
    assert pages == [[name] for name in ascending] + [[]]


def test_a_real_request_is_told_in_each_action_s_own_units(cloud: ProductCloud) -> None:
    cloud.create("seen", bash_runtime('echo "a line of log" >&2; echo "$1"'))
    result = cloud.call("Invoke", FunctionName="seen", ClientContext='{"n": 1}').Result
    which = {"FunctionName": "seen", "FunctionRequestId": result.FunctionRequestId}
    item = wait_until(lambda: logged(cloud, which, "a line of log"))
    assert (item.RetCode, item.InvokeFinished, item.RetMsg.strip()) == (0, 1, '{"n": 1}')
    assert (item.Duration, item.MemUsage) == (result.Duration, result.MemUsage)
    assert item.BillDuration == result.BillDuration
    (state,) = cloud.call("GetRequestStatus", **which).Data
    assert state.RetCode == 0
    assert state.MemUsage == pytest.approx(result.MemUsage / MIB, abs=1e-6)
    assert state.StartTime == item.StartTime
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", state.StartTime)


def logged(cloud: ProductCloud, which: dict[str, str], line: str) -> Any:
    """The request's entry, once its log has the line."""
    found = cloud.call("GetFunctionLogs", **which).Data
    return found[0] if found and line in found[0].Log else None
