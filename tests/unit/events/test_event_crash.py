"""``kill -9`` of the control plane at every stage of an event: run again, never lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.events.event_kit import QueueBench

ROOT = Path(__file__).parents[3]
COUNT = 40


def killed_at(stage: str, directory: Path) -> list[tuple[str, int]]:
    """Id and number of each event that the killed process said it had accepted."""
    command = [
        sys.executable,
        "-m",
        "tests.unit.events.event_child",
        str(directory),
        stage,
        str(COUNT),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    lines = (line.split() for line in ended.stdout.splitlines())
    return [(words[1], int(words[2])) for words in lines if words[0] == "accepted"]


@pytest.mark.parametrize("stage", ["accepted", "running", "ran"])
async def test_accepted_events_are_run_by_the_next_process(tmp_path: Path, stage: str) -> None:
    accepted = killed_at(stage, tmp_path)
    assert accepted
    bench = QueueBench(tmp_path)
    bench.function()
    ended: dict[str, bytes] = {}
    try:
        on_disk = [event.request_id for event in bench.on_disk()]
        assert set(on_disk) >= {request_id for request_id, _ in accepted}
        await bench.open()
        await bench.over()
        ended = {r.request_id: r.ret_msg.encode() for r in bench.records if r.status_code == 200}
    finally:
        await bench.close()
    for request_id, number in accepted:
        assert ended[request_id] == b"%d" % number
    assert {retry for _, retry in bench.tries} == {0}


async def test_retries_are_counted_across_the_death_of_the_process(tmp_path: Path) -> None:
    accepted = killed_at("deferred", tmp_path)
    assert len(accepted) == COUNT
    bench = QueueBench(tmp_path)
    bench.function()
    try:
        events = bench.on_disk()
        assert [event.retry_num for event in events] == [1] * COUNT
        assert {event.error for event in events} == {b"broken"}
        offset = events[0].due_at - bench.heart.time.now() + 5
        await bench.heart.time.advance(offset)
        await bench.open()
        await bench.over()
    finally:
        await bench.close()
    assert {retry for _, retry in bench.tries} == {1}
    assert len(bench.tries) == COUNT
