"""The writer: what is put is stored, soon, once, and in spite of failures."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from sandbox.store.database import write_transaction
from sandbox.store.records import SqlRecordRepository, StoreCounts
from sandbox.store.writer import RecordWriter
from tests.support.waiting import wait_until
from tests.unit.store.store_kit import FailingRepository, make_chunk, numbered_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

DISK_FULL = OperationalError("INSERT", {}, Exception("database or disk is full"))


@pytest.fixture
def repository(engine: Engine) -> FailingRepository:
    return FailingRepository(engine)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "records"


@pytest.fixture
def writer(repository: FailingRepository, journal: Path) -> Iterator[RecordWriter]:
    writer = RecordWriter(repository, journal, interval_s=0.01, batch=10)
    yield writer
    repository.error = None
    writer.close()


def segments(journal: Path) -> list[str]:
    return sorted(path.name for path in journal.parent.iterdir())


async def test_what_was_put_can_be_read_after_a_flush(
    writer: RecordWriter, repository: SqlRecordRepository
) -> None:
    writer.put(numbered_record(1))
    writer.put_log(make_chunk(1, "hello"))
    assert await writer.flush()
    assert repository.get("request-1") == numbered_record(1)
    assert repository.log_lines("request-1") == [(1001.0, "hello")]
    assert (writer.written, writer.pending, writer.dropped) == (2, 0, 0)


async def test_a_flush_with_nothing_to_do_returns_at_once(writer: RecordWriter) -> None:
    assert await writer.flush(patience_s=0)


async def test_a_flush_does_not_wait_for_the_interval(
    repository: SqlRecordRepository, journal: Path
) -> None:
    writer = RecordWriter(repository, journal, interval_s=3600)
    writer.put(numbered_record(1))
    assert await writer.flush(patience_s=10)
    writer.close()


def test_items_are_written_without_a_flush_after_the_interval(writer: RecordWriter) -> None:
    writer.put(numbered_record(1))
    wait_until(lambda: writer.written == 1)


def test_a_full_batch_is_written_before_the_interval_ends(
    repository: SqlRecordRepository, journal: Path
) -> None:
    writer = RecordWriter(repository, journal, interval_s=3600, batch=5)
    for number in range(5):
        writer.put(numbered_record(number))
    wait_until(lambda: writer.written == 5)
    writer.close()


async def test_a_chunk_is_taken_as_it_is_when_put(
    writer: RecordWriter, repository: SqlRecordRepository
) -> None:
    chunk = make_chunk(1, "before")
    writer.put_log(chunk)
    chunk.lines.append((1.0, "after"))
    await writer.flush()
    assert len(repository.log_lines("request-1")) == 1


async def test_text_that_is_not_unicode_is_stored_readably(
    writer: RecordWriter, repository: SqlRecordRepository
) -> None:
    writer.put(numbered_record(1, ret_msg="half a \ud83d pair"))
    writer.put_log(make_chunk(1, "\udcff byte", 'quoted " and \\'))
    await writer.flush()
    record = repository.get("request-1")
    assert record is not None
    assert record.ret_msg == "half a ? pair"
    lines = [text for _, text in repository.log_lines("request-1")]
    assert lines == ["? byte", 'quoted " and \\']


def test_the_journal_holds_what_is_not_stored_and_nothing_when_all_is(
    writer: RecordWriter, repository: FailingRepository, journal: Path
) -> None:
    repository.error = DISK_FULL
    with capture_logs():
        writer.put(numbered_record(1))
        wait_until(lambda: repository.attempts)
        held = b"".join(path.read_bytes() for path in journal.parent.iterdir())
        repository.error = None
        wait_until(lambda: writer.written == 1)
    assert b"request-1" in held
    writer.close()
    assert segments(journal) == []


def test_segments_do_not_pile_up(writer: RecordWriter, journal: Path) -> None:
    for number in range(500):
        writer.put(numbered_record(number))
    wait_until(lambda: writer.written == 500)
    wait_until(lambda: len(segments(journal)) == 1)
    left = (journal.parent / segments(journal)[0]).read_bytes()
    assert left == b""


def test_a_failing_database_is_tried_again_until_it_recovers(
    writer: RecordWriter, repository: FailingRepository
) -> None:
    repository.error = DISK_FULL
    with capture_logs() as logs:
        writer.put(numbered_record(1))
        wait_until(lambda: repository.attempts >= 2)
        assert writer.pending == 1
        repository.error = None
        wait_until(lambda: writer.written == 1)
    assert {entry["event"] for entry in logs} == {"records_write_failed"}
    assert repository.get("request-1") == numbered_record(1)


async def test_a_flush_gives_up_when_the_database_fails(
    writer: RecordWriter, repository: FailingRepository
) -> None:
    repository.error = DISK_FULL
    with capture_logs():
        writer.put(numbered_record(1))
        assert not await writer.flush(patience_s=0.05)
        repository.error = None
        assert await writer.flush()


def test_a_locked_database_delays_and_loses_nothing(
    engine: Engine, repository: SqlRecordRepository, writer: RecordWriter
) -> None:
    with write_transaction(engine):
        for number in range(20):
            writer.put(numbered_record(number))
    wait_until(lambda: writer.written == 20)
    assert repository.counts().invocations == 20


def test_what_does_not_fit_in_memory_is_dropped_counted_and_told(
    repository: FailingRepository, journal: Path
) -> None:
    repository.error = DISK_FULL
    writer = RecordWriter(repository, journal, interval_s=0.001, max_bytes=5_000)
    with capture_logs() as logs:
        for number in range(100):
            writer.put(numbered_record(number))
        kept = writer.pending
        assert 0 < kept < 100
        assert writer.dropped == 100 - kept
        repository.error = None
        wait_until(lambda: writer.written == kept)
        writer.put(numbered_record(100))
        wait_until(lambda: writer.written == kept + 1)
        writer.close()
    told = [entry for entry in logs if entry["event"] == "records_dropped"]
    assert sum(entry["items"] for entry in told) == 100 - kept
    assert repository.counts().invocations == kept + 1


def test_a_row_that_the_database_refuses_does_not_hold_up_the_others(
    writer: RecordWriter, repository: SqlRecordRepository
) -> None:
    with capture_logs() as logs:
        for number in range(20):
            writer.put(numbered_record(number, mem_usage=2**70 if number == 7 else 1))
        wait_until(lambda: writer.pending == 0)
        wait_until(lambda: any(entry["event"] == "records_dropped" for entry in logs))
    assert (writer.written, writer.dropped) == (19, 1)
    assert repository.get("request-7") is None
    refused = [entry for entry in logs if entry["event"] == "record_refused"]
    assert [entry["key"][0] for entry in refused] == ["request-7"]


def test_a_full_disk_costs_the_journal_but_not_the_record(
    writer: RecordWriter, repository: SqlRecordRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with capture_logs() as logs:
        monkeypatch.setattr("os.write", full)
        writer.put(numbered_record(1))
        monkeypatch.undo()
        wait_until(lambda: writer.written == 1)
    assert [entry["event"] for entry in logs] == ["journal_write_failed"]
    assert repository.get("request-1") is not None


def test_records_are_stored_even_if_no_new_segment_can_be_opened(
    writer: RecordWriter, repository: SqlRecordRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: Any) -> int:
        raise OSError(24, "Too many open files")

    with capture_logs() as logs:
        monkeypatch.setattr("os.open", refused)
        writer.put(numbered_record(1))
        wait_until(lambda: writer.written == 1)
        monkeypatch.undo()
    assert [entry["event"] for entry in logs] == ["journal_write_failed"]
    assert repository.get("request-1") is not None


def test_closing_writes_what_is_left(repository: SqlRecordRepository, journal: Path) -> None:
    writer = RecordWriter(repository, journal, interval_s=3600)
    for number in range(30):
        writer.put(numbered_record(number))
    writer.close()
    writer.close()
    assert repository.counts().invocations == 30
    assert segments(journal) == []


def test_what_is_put_after_closing_is_counted_as_dropped(
    repository: SqlRecordRepository, journal: Path
) -> None:
    writer = RecordWriter(repository, journal)
    writer.close()
    with capture_logs() as logs:
        writer.put(numbered_record(1))
    assert writer.dropped == 1
    assert [entry["event"] for entry in logs] == ["record_put_too_late"]


def test_closing_with_a_failing_database_leaves_the_rest_to_the_next_process(
    repository: FailingRepository, journal: Path
) -> None:
    repository.error = DISK_FULL
    writer = RecordWriter(repository, journal, interval_s=0.001, batch=3)
    with capture_logs() as logs:
        for number in range(10):
            writer.put(numbered_record(number))
        started = time.monotonic()
        writer.close(patience_s=0.05)
        assert time.monotonic() - started < 5
    assert logs[-1] == {"event": "records_left_in_journal", "items": 10, "log_level": "error"}

    repository.error = None
    following = RecordWriter(repository, journal)
    with capture_logs():
        assert following.recover() == 10
    following.close()
    assert repository.counts() == StoreCounts(10, 0)
    assert segments(journal) == []


async def test_many_threads_may_put_at_the_same_time(
    writer: RecordWriter, repository: SqlRecordRepository
) -> None:
    def put(thread: int) -> None:
        for number in range(200):
            writer.put(numbered_record(thread * 1000 + number))
            writer.put_log(make_chunk(thread * 1000 + number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    flushed = [await writer.flush() for _ in range(20)]
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert await writer.flush()
    assert all(flushed)
    assert repository.counts() == StoreCounts(800, 800)
    assert writer.written == 1600
