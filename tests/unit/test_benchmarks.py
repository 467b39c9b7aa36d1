"""The harness's own arithmetic and its signature: a wrong one would go unnoticed in a report."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from api.cloud.wire.params import parse
from api.cloud.wire.request import RawRequest
from api.cloud.wire.signing import verify
from benchmarks import programs, report, signing
from benchmarks.client import call
from benchmarks.measures import MEASURES
from benchmarks.measures.variants import LINE, SILENT, WRITTEN
from benchmarks.peers.limit import rendezvous
from benchmarks.rows import Row, Series, at_least, at_most, below
from benchmarks.timeline import Stage, picture

if TYPE_CHECKING:
    from pathlib import Path

OURS = Series("ours", "/s", (300.0, 100.0, 400.0))
PEER = Series("peer", "/s", (100.0, 100.0, 100.0))


def test_ratios_are_taken_round_by_round() -> None:
    assert Row("rate", OURS, PEER).ratios == (3.0, 1.0, 4.0)


def test_ratios_of_unequal_rounds_are_of_the_medians() -> None:
    shorter = Series("peer", "/s", (100.0, 200.0))
    assert Row("rate", OURS, shorter).ratios == (2.0,)


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (at_least(3), True),
        (at_least(3.1), False),
        (at_most(3), True),
        (at_most(2.9), False),
        (below(300), True),
        (below(299), False),
        (None, None),
    ],
)
def test_a_goal_judges_the_median(goal: object, reached: bool | None) -> None:
    row = Row("rate", OURS, PEER, goal)  # type: ignore[arg-type]
    assert row.reached is reached


def test_a_figure_of_its_own_is_judged_instead_of_the_median() -> None:
    late = Series("ours", "ms", (1.0, 2.0, 60.0))
    assert Row("p99", late, goal=below(50), figure=late.quantile(0.99)).reached is False


def test_a_missed_goal_is_shown_with_what_bounds_it() -> None:
    missed = Row("rate", OURS, PEER, at_least(5), bounds="One core.")
    page = report.page({"kernel": "6"}, {"Warm": [missed], "Cold": "no engine"}, "1 round.")
    assert "| rate | ours | 300 /s (100-400) | peer | 100 /s (100-100) |" in page
    assert "**missed**" in page
    assert "Warm, rate, ours against peer. One core." in page
    assert "Not measured: no engine" in page


def test_no_two_measures_share_a_name_or_a_title() -> None:
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert len({measure.title for measure in MEASURES}) == len(MEASURES)


@pytest.mark.skipif(not shutil.which("gcc"), reason="the bootstrap cannot be compiled: install gcc")
def test_the_bootstrap_writes_a_line_for_each_event_that_asks_for_one(tmp_path: Path) -> None:
    code = programs.build(tmp_path / "code")
    with rendezvous("127.0.0.1") as limit, (tmp_path / "log").open("wb") as log:
        bootstrap = subprocess.Popen(
            [code / "bootstrap"], env={**os.environ, **limit.environment}, stdout=log
        )
        try:
            for event in (LINE, SILENT, LINE):
                assert call(limit.request(event.encode())).body == event.encode()
        finally:
            bootstrap.kill()
            bootstrap.wait(10)
    assert (tmp_path / "log").read_text() == f"{WRITTEN}\n" * 2


def test_a_reached_goal_needs_no_explanation() -> None:
    page = report.page({}, {"Warm": [Row("rate", OURS, PEER, at_least(2), bounds="x")]}, "")
    assert "reached" in page
    assert "What bounds" not in page


def test_the_harness_signs_as_the_cloud_api_checks() -> None:
    body = b'{"FunctionName":"echo"}'
    headers = {"Content-Type": "application/json", "X-TC-Action": "Invoke"}
    host = "127.0.0.1:9000"
    sent = {**signing.signed(headers, host, body), "Host": host}
    pairs = [(name.lower().encode(), value.encode()) for name, value in sent.items()]
    raw = RawRequest.build("POST", b"", pairs, body)
    credentials = {signing.SECRET_ID: signing.SECRET_KEY}
    assert verify(raw, parse(raw, "id"), credentials, time.time()) == signing.SECRET_ID


def test_the_picture_has_a_bar_for_each_stage_end_to_end() -> None:
    stages = [Stage("client", "a", (1.0,), 1.0), Stage("instance", "b", (3.0,), 3.0)]
    svg = picture("warm", stages, 1)
    assert 'x="300.0" y="87" width="140.0"' in svg
    assert 'x="440.0" y="115" width="420.0"' in svg
    assert "4.00 ms" in svg
