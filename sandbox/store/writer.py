"""Writes records and log lines: to the journal at once, to the database in batches."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from sandbox.errors import PlatformError
from sandbox.store.failures import reason_of
from sandbox.store.journal import CHUNK, RECORD, Item, Journal, encode, read_segment
from sandbox.store.rows import chunk_row, printable
from sandbox.store.sink import ItemSink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sandbox.records.record import InvocationRecord, LogChunk
    from sandbox.store.journal import Segment
    from sandbox.store.records import SqlRecordRepository
    from sandbox.store.rows import Row

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0


class _Waiter(NamedTuple):
    """A caller of ``flush``, who waits until ``target`` items are settled."""

    target: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def tell(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class RecordWriter:
    """Takes records and log chunks at once, and writes them to the database in batches.

    Each item is appended to the journal, where it survives the death of this process, and queued. A
    thread inserts the queue after ``interval_s``, or when it holds ``batch`` items. It writes
    seldom: while it waits for the interpreter lock, each release of that by the event loop wakes
    it, several times in an invocation. Queries call ``flush`` first. While the database fails, the
    thread tries again and the queue grows to ``max_bytes``. Later items are dropped and counted.

    Use: ``recover()``, any number of ``put``, ``close()``. Any thread may call ``put``, ``put_log``
    and ``flush``. Metrics, in items: ``pending``, ``written``, ``dropped``.
    """

    def __init__(
        self,
        repository: SqlRecordRepository,
        journal_path: Path,
        *,
        interval_s: float = 0.3,
        batch: int = 4000,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """Open the journal and start the thread. ``PlatformError`` if there can be no journal."""
        self._sink = ItemSink(repository)
        self._interval_s = interval_s
        self._batch = batch
        self._max_bytes = max_bytes
        try:
            self._journal = Journal(journal_path)
        except OSError as error:
            raise PlatformError(
                f"the journal {journal_path} cannot be opened ({error.strerror}): "
                "set SCF_DATA_DIR to a directory that is writable"
            ) from error
        self._thread = threading.Thread(target=self._run, name="record-writer", daemon=True)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

        # The lock guards all of these.
        self._queue: list[Item] = []
        self._bytes = 0  # of the queue, and of the items that the thread is inserting
        self._accepted = 0
        self._written = 0
        self._refused = 0
        self._dropped = 0
        self._waiters: deque[_Waiter] = deque()
        self._journal_failing = False
        self._closing = False
        self._deadline = 0.0

        self._dropped_told = 0  # only the thread uses it
        self._thread.start()

    @property
    def pending(self) -> int:
        """Accepted items that are not in the database yet."""
        with self._lock:
            return self._accepted - self._written - self._refused

    @property
    def written(self) -> int:
        """Items that this writer has put into the database."""
        return self._written

    @property
    def dropped(self) -> int:
        """Lost items: the queue was full, or the database refused them."""
        with self._lock:
            return self._dropped + self._refused

    def put(self, record: InvocationRecord) -> None:
        """Take a record in microseconds. Neither waits nor fails."""
        self._put(RECORD, record)

    def put_log(self, chunk: LogChunk) -> None:
        """Take a chunk of log lines in microseconds. Neither waits nor fails."""
        self._put(CHUNK, chunk_row(chunk))

    def _put(self, kind: str, row: Row) -> None:
        try:
            line = encode(kind, row)
        except ValueError:
            row = printable(row)
            line = encode(kind, row)
        size = len(line)
        with self._lock:
            if self._closing or self._bytes + size > self._max_bytes:
                self._drop()
                return
            try:
                self._journal.active.append(line)
            except OSError as error:
                self._tell_journal_failure(error)
            self._queue.append(Item(kind, row, size))
            self._bytes += size
            self._accepted += 1
            count = len(self._queue)
            if count == 1 or count == self._batch:
                self._changed.notify_all()

    def _drop(self) -> None:
        self._dropped += 1
        if self._closing:  # before that the thread logs many drops as one
            log.error("record_put_too_late", total=self._dropped)

    def _tell_journal_failure(self, error: OSError) -> None:
        # The item is still in memory. It is lost only if this process dies before the insertion.
        if not self._journal_failing:
            self._journal_failing = True
            log.error("journal_write_failed", error=str(error))

    async def flush(self, patience_s: float = 5.0) -> bool:
        """Wait until every item put so far is in the database, at most ``patience_s`` seconds.

        Returns False if that takes longer, as with a failing database. Queries still work.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._accepted == self._written + self._refused:
                return True
            waiter = _Waiter(self._accepted, loop, loop.create_future())
            self._waiters.append(waiter)
            self._changed.notify_all()
        try:
            async with asyncio.timeout(patience_s):
                await waiter.future
        except TimeoutError:
            return False
        finally:
            with self._lock, suppress(ValueError):
                self._waiters.remove(waiter)
        return True

    def recover(self) -> int:
        """Insert the items in the journals of earlier processes; how many they were.

        Call it before the first ``put``. ``PlatformError`` if a journal cannot be read or the
        database fails; the journals then stay.
        """
        recovered = 0
        for path in self._journal.left_behind():
            try:
                for items in _parts(read_segment(path), self._batch):
                    recovered += self._sink.insert(items)
                path.unlink()
            except (OSError, SQLAlchemyError) as error:
                raise PlatformError(
                    f"the journal {path} cannot be brought into the database ({reason_of(error)}): "
                    "see that both are writable and the disk is not full"
                ) from error
        if recovered:
            log.info("records_recovered", items=recovered)
        return recovered

    def close(self, patience_s: float = 10.0) -> None:
        """Insert what is left, then stop. Blocks at most ``patience_s`` plus one attempt.

        Items that the database has not taken by then stay in the journal for the next ``recover``.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._deadline = time.monotonic() + patience_s
            self._changed.notify_all()
        self._thread.join()
        left = self.pending
        if left:
            log.error("records_left_in_journal", items=left)
            self._journal.active.close()
        else:
            self._journal.active.discard()

    # The thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                self._changed.wait_for(self._due, self._interval_s)
            fresh = self._next_segment()
            with self._lock:
                full = self._replace_segment(fresh) if fresh else None
                items, self._queue = self._queue, []
            done = all(self._write(part) for part in _parts(items, self._batch))
            if full:
                self._release(full, done)
            if not done:
                return

    def _due(self) -> bool:
        return len(self._queue) >= self._batch or bool(self._waiters) or self._closing

    def _next_segment(self) -> Segment | None:
        try:
            return self._journal.next_segment()
        except OSError as error:
            # The old segment stays in use. Replaying items of the database changes nothing.
            with self._lock:
                self._tell_journal_failure(error)
            return None

    def _replace_segment(self, fresh: Segment) -> Segment:
        """Make ``fresh`` the active segment. Returns the old one, which gets no further item."""
        full, self._journal.active = self._journal.active, fresh
        self._journal_failing = full.torn
        return full

    def _release(self, segment: Segment, done: bool) -> None:
        try:
            if done:
                segment.discard()
            else:
                segment.close()
        except OSError as error:
            log.error("journal_delete_failed", path=str(segment.path), error=str(error))

    def _write(self, items: Sequence[Item]) -> bool:
        """Insert one part, however long it takes. False if ``close`` ended the attempts."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                written = self._sink.insert(items)
            except Exception as error:  # the thread's boundary: keep the items and try again
                log.error("records_write_failed", error=reason_of(error), pending=self.pending)
                self._tell_drops()
                if not self._pause(retry_s):
                    return False
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            self._settle(items, written)
            self._tell_drops()
            return True

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt. False if ``close`` leaves no time for one."""
        with self._lock:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, seconds)
                return True
            left = self._deadline - time.monotonic()
            if left > 0:
                self._changed.wait(min(left, _FIRST_RETRY_S))
            return left > 0

    def _settle(self, items: Sequence[Item], written: int) -> None:
        size = sum(item.size for item in items)
        with self._lock:
            self._bytes -= size
            self._written += written
            self._refused += len(items) - written
            settled = self._written + self._refused
            while self._waiters and self._waiters[0].target <= settled:
                self._waiters.popleft().tell()

    def _tell_drops(self) -> None:
        dropped = self.dropped
        if dropped > self._dropped_told:
            log.error("records_dropped", items=dropped - self._dropped_told, total=dropped)
            self._dropped_told = dropped


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part
