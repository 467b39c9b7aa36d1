"""The platform's log lines, byte for byte, in both dialects (contract 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.records.report import init_report, render_log, render_tail, report
from tests.support.records import make_record

if TYPE_CHECKING:
    from sandbox.records.record import InvocationRecord

ID = "9b0cc2e4-3b5c-4d0c-8c0e-0a4a2f1f7f4a"
RECEIVED = 1_700_000_000.0
TIMEOUT = (
    '{"errorCode":-1,"errorMessage":"Invoking task timed out after 3 seconds",'
    f'"requestId":"{ID}","statusCode":433}}'
)


def record(**more: Any) -> InvocationRecord:
    """A warm invocation of 1 ms that answered ``Hello World``."""
    fields: dict[str, Any] = {
        "ret_msg": "Hello World",
        "duration_ms": 1.2,
        "memory_mb": 128,
        "mem_usage": 31178752,
        "timeline": {"received": RECEIVED},
    }
    return make_record(ID, **{"started_at": RECEIVED, **fields, **more})


def cold(**more: Any) -> InvocationRecord:
    """A cold start: 0.427 s for the code, 0.267 s for the container, 1.456 s of initialisation."""
    timeline = {
        "received": RECEIVED,
        "prepared": RECEIVED + 0.427,
        "released": RECEIVED + 0.694,
        "ready": RECEIVED + 2.15,
    }
    return record(
        cold_start=True,
        init_ms=1456.4,
        memory_mb=3072,
        mem_usage=17353933,
        timeline={**timeline, **more},
    )


def lines(*texts: str, at: float = RECEIVED) -> list[tuple[float, str]]:
    return [(at, text) for text in texts]


def test_the_closing_line_of_the_log_query() -> None:
    assert report(record()) == (
        f"Report RequestId:{ID} Duration:1ms Memory:128MB MemUsage:29.734375MB"
    )


def test_the_closing_line_of_the_test_panel() -> None:
    timed_out = record(duration_ms=3000.0, mem_usage=17571840)
    assert report(timed_out, " ") == (
        f"Report RequestId: {ID} Duration:3000ms Memory:128MB MemUsage:16.7578MB"
    )


def test_the_line_of_a_cold_start() -> None:
    assert init_report(cold()) == (
        f"Init Report RequestId: {ID} Coldstart: 2150ms (PullCode: 427ms InitRuntime: 267ms"
        " InitFunction: 1456ms) Memory: 3072MB MemUsage: 16.55MB"
    )


def test_a_container_that_stood_by_took_no_time_to_start() -> None:
    warm_start = cold()
    warm_start.timeline.pop("prepared")
    warm_start.timeline["released"] = RECEIVED - 0.001
    assert "Coldstart: 1456ms (PullCode: 0ms InitRuntime: 0ms InitFunction: 1456ms)" in (
        init_report(warm_start)
    )


def test_a_record_without_a_timeline_has_only_its_initialisation_to_report() -> None:
    assert "(PullCode: 0ms InitRuntime: 0ms InitFunction: 7ms)" in (
        init_report(record(init_ms=7, timeline={}))
    )


def test_the_log_of_a_success() -> None:
    assert render_log(record(), lines("one", "two")) == (
        f"START RequestId:{ID}\n"
        "one\n"
        "two\n"
        f'Response RequestId:{ID} RetMsg:"Hello World"\n'
        f"END RequestId:{ID}\n"
        f"Report RequestId:{ID} Duration:1ms Memory:128MB MemUsage:29.734375MB\n"
    )


def test_the_log_of_a_failure() -> None:
    failed = record(status_code=433, ret_msg=TIMEOUT, duration_ms=3000, mem_usage=17571840)
    assert render_log(failed, lines("working")) == (
        f"START RequestId:{ID}\n"
        "working\n"
        f"ERROR RequestId:{ID} Result:{TIMEOUT}\n"
        f"END RequestId:{ID}\n"
        f"Report RequestId:{ID} Duration:3000ms Memory:128MB MemUsage:16.757812MB\n"
    )


def test_the_log_of_a_cold_start_has_the_init_report_after_the_init_output() -> None:
    mixed = [*lines("init", at=RECEIVED + 1), *lines("event", at=RECEIVED + 3)]
    assert render_log(cold(), mixed).splitlines()[:4] == [
        f"START RequestId:{ID}",
        "init",
        init_report(cold()),
        "event",
    ]


def test_a_cold_start_without_later_lines_has_the_init_report_last() -> None:
    log = render_log(cold(), lines("init", at=RECEIVED + 1)).splitlines()
    assert log[1:3] == ["init", init_report(cold())]


def test_an_initialisation_that_failed_has_no_init_report() -> None:
    failed = cold(ready=None)._replace(status_code=450, ret_msg="{}")
    del failed.timeline["ready"]
    assert "Init Report" not in render_log(failed, lines("init"))


def test_a_running_invocation_has_no_end_yet() -> None:
    running = record(status_code=202, ret_msg="")
    assert render_log(running, lines("still at it")) == f"START RequestId:{ID}\nstill at it\n"


def test_an_invocation_that_reached_no_instance_has_no_log() -> None:
    refused = record(instance_id="", status_code=443, ret_msg="{}")
    assert render_log(refused, []) == ""
    assert render_tail(refused, []) == ""


def test_the_log_of_the_test_panel_has_blanks_and_neither_response_nor_error() -> None:
    closing = f"Report RequestId: {ID} Duration:1ms Memory:128MB MemUsage:29.7344MB\n"
    for given in (record(), record(status_code=433, ret_msg=TIMEOUT)):
        assert render_tail(given, lines("one")) == (
            f"START RequestId: {ID}\nEvent RequestId: {ID}\none\nEND RequestId: {ID}\n" + closing
        )


@pytest.mark.parametrize("letter", ["x", "ä", "语"])
def test_a_tail_is_the_last_4_kb_whatever_the_lines_are(letter: str) -> None:
    for many in (
        [f"{n:03} {letter * 40}" for n in range(200)],
        [letter * 8192],
        ["a", letter * 5000],
    ):
        tail = render_tail(record(), lines(*many))
        assert 4096 - len(letter.encode()) < len(tail.encode()) <= 4096
        whole = f"{chr(10).join(many)}\nEND RequestId: {ID}\n"
        closing = f"Report RequestId: {ID} Duration:1ms Memory:128MB MemUsage:29.7344MB\n"
        assert (whole + closing).endswith(tail)
