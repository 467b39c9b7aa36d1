"""The journal: nothing that was put is lost when the process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from sandbox.errors import PlatformError
from sandbox.store.database import migrate, open_database
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.journal import RECORD, Segment, decode, encode, read_segment
from sandbox.store.records import SqlRecordRepository, StoreCounts
from sandbox.store.rows import record_row
from sandbox.store.writer import RecordWriter
from tests.unit.store.store_kit import FailingRepository, make_chunk, make_function, numbered_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

CHILD = """
import os, signal, sys
from pathlib import Path
from tests.unit.store.store_kit import make_chunk, make_function, numbered_record
from sandbox.store.database import migrate, open_database
from sandbox.store.functions import SqlFunctionRepository
from sandbox.store.records import SqlRecordRepository
from sandbox.store.writer import RecordWriter

url, journal, interval = sys.argv[1:]
engine = open_database(url)
migrate(engine)
records = SqlRecordRepository(engine)
writer = RecordWriter(records, Path(journal), interval_s=float(interval), batch=50)
for number in range(500):
    writer.put(numbered_record(number, status_code=202))
    writer.put_log(make_chunk(number, f"line of {number}"))
    writer.put(numbered_record(number))
    if number % 100 == 0:
        SqlFunctionRepository(engine).save(make_function(f"f{number}"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'scf.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def line_of(number: int) -> bytes:
    return encode(RECORD, record_row(numbered_record(number)))


def recover(engine: Engine, journal: Path) -> int:
    writer = RecordWriter(SqlRecordRepository(engine), journal)
    with capture_logs():
        recovered = writer.recover()
    writer.close()
    return recovered


@pytest.mark.parametrize("interval", ["0.001", "3600"], ids=["while writing", "before writing"])
def test_nothing_is_lost_when_the_process_is_killed(
    tmp_path: Path, url: str, journal: Path, interval: str
) -> None:
    kit, root = Path(__file__).parent, Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, url, str(journal), interval],
        env={"PYTHONPATH": f"{root}:{kit}"},
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL

    engine = open_database(url)
    migrate(engine)
    recover(engine, journal)
    repository = SqlRecordRepository(engine)
    assert repository.counts() == StoreCounts(500, 500)
    for number in range(500):
        assert repository.get(f"request-{number}") == numbered_record(number)
    assert repository.log_lines("request-499") == [(1499.0, "line of 499")]
    assert SqlFunctionRepository(engine).load_all() == [
        make_function(f"f{number}") for number in range(0, 500, 100)
    ]
    assert list(tmp_path.glob("journal*")) == []
    engine.dispose()


def test_recovering_twice_changes_nothing(engine: Engine, journal: Path) -> None:
    text = line_of(1) + line_of(2)
    for _ in range(2):
        journal.with_name("journal.1").write_bytes(text)
        assert recover(engine, journal) == 2
    assert SqlRecordRepository(engine).counts().invocations == 2


def test_segments_are_recovered_oldest_first(engine: Engine, journal: Path) -> None:
    for number, status in ((9, 202), (10, 200)):
        row = record_row(numbered_record(1, status_code=status))
        journal.with_name(f"journal.{number}").write_bytes(encode(RECORD, row))
    recover(engine, journal)
    record = SqlRecordRepository(engine).get("request-1")
    assert record is not None
    assert record.status_code == 200


def test_files_of_other_names_are_left_alone(engine: Engine, journal: Path) -> None:
    others = [journal.with_name(name) for name in ("journal", "journal.1.bak", "my-journal.1")]
    for other in others:
        other.write_bytes(line_of(1))
    assert recover(engine, journal) == 0
    assert all(other.exists() for other in others)


@pytest.mark.parametrize(
    "torn",
    [
        line_of(2)[:-1][:40],
        line_of(2)[:40] + b"\n",
        b"[]\n",
        b"{}\n",
        b'["r1", "too short"]\n',
        b'["from the future", 1]\n',
        b'[["r1"]]\n',
        b"\xff\xfe\n",
    ],
)
def test_a_torn_line_is_left_out_and_told(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.1"
    path.write_bytes(line_of(1) + torn)
    with capture_logs() as logs:
        assert [item.row[0] for item in read_segment(path)] == ["request-1"]
    (entry,) = logs
    assert (entry["event"], entry["lines"]) == ("journal_lines_skipped", 1)


def test_a_segment_is_its_lines(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "journal.1")
    segment.append(line_of(1))
    segment.append(line_of(2))
    segment.close()
    assert segment.path.read_bytes() == line_of(1) + line_of(2)
    assert rows_of(segment) == ["request-1", "request-2"]


@pytest.mark.parametrize("behind", [b"", line_of(3)])
def test_what_earlier_versions_filled_segments_up_with_is_no_line(
    tmp_path: Path, behind: bytes
) -> None:
    path = tmp_path / "journal.1"
    path.write_bytes(line_of(1) + line_of(2) + bytes(1000) + behind)
    with capture_logs() as logs:
        rows = [item.row[0] for item in read_segment(path)]
    assert rows == ["request-1", "request-2", "request-3"][: 3 if behind else 2]
    assert logs == []


def rows_of(segment: Segment) -> list[str]:
    with capture_logs() as logs:
        rows = [item.row[0] for item in read_segment(segment.path)]
    assert logs == []
    return rows


def test_a_line_after_one_that_was_cut_short_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    segment = Segment(tmp_path / "journal.1")

    def short(fd: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(fd, data[: len(data) - 50])

    monkeypatch.setattr("os.write", short)
    with pytest.raises(OSError, match="No space"):
        segment.append(line_of(1))
    monkeypatch.undo()
    segment.append(line_of(2))
    segment.append(line_of(3))
    segment.close()
    with capture_logs():
        rows = [item.row[0] for item in read_segment(segment.path)]
    assert rows == ["request-2", "request-3"]


def test_a_write_that_takes_only_part_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr("os.write", lambda fd, data: write(fd, data[:7]))
    segment = Segment(tmp_path / "journal.1")
    segment.append(line_of(1))
    segment.close()
    assert segment.path.read_bytes() == line_of(1)


def test_an_encoded_row_is_decoded_exactly() -> None:
    row = record_row(numbered_record(1, ret_msg='é\n"\0', started_at=1700000000.1234567))
    item = decode(encode(RECORD, row))
    assert item is not None
    assert item.row == row


def test_a_journal_that_cannot_be_stored_is_kept(engine: Engine, journal: Path) -> None:
    left = journal.with_name("journal.1")
    left.write_bytes(line_of(1))
    repository = FailingRepository(engine, OperationalError("INSERT", {}, Exception("full")))
    writer = RecordWriter(repository, journal)
    with pytest.raises(PlatformError, match=r"journal\.1"):
        writer.recover()
    writer.close()
    assert left.exists()
    assert recover(engine, journal) == 1


def test_what_is_put_during_a_recovery_stays_out_of_it(engine: Engine, journal: Path) -> None:
    writer = RecordWriter(SqlRecordRepository(engine), journal, interval_s=3600)
    writer.put(numbered_record(1))
    writer.put_log(make_chunk(1))
    assert writer.recover() == 0
    writer.close()
    assert SqlRecordRepository(engine).counts() == StoreCounts(1, 1)


def test_a_journal_that_cannot_be_opened_is_refused_with_what_to_do(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="SCF_DATA_DIR"):
        RecordWriter(SqlRecordRepository(engine), tmp_path / "file" / "journal")
