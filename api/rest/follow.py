"""Follows a function's log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.feed import Filter
from sandbox.feed.facts import InvocationDispatched, InvocationEnded, LinesWritten
from sandbox.records.record import InvocationRecord
from sandbox.records.report import closing, opening, render_log
from sandbox.status import StatusCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from api.rest.services import Services
    from sandbox.feed.facts import Fact
    from sandbox.records.query import RecordQuery

#: Lines within this time are sent together, seconds. A line must arrive within 50 ms, and the feed
#: takes a part of these.
JOIN_S = 0.02
#: The most facts of one write.
WRITE_FACTS = 500

KINDS = frozenset({InvocationDispatched, LinesWritten, InvocationEnded})


async def follow(services: Services, query: RecordQuery) -> AsyncIterator[str]:
    """The logs of the last invocations, then those of running ones so far, then new lines.

    Ends when the sandbox stops.
    """
    assert query.function_name is not None
    feed = services.feed
    listener = feed.listen(Filter(query.namespace, query.function_name, query.request_id, KINDS))
    running = _under_way(
        services, query
    )  # without an await in between, so the feed tells everything that begins later
    _, records = await services.history.find(query)
    ended = [r for r in records[::-1] if r.status_code != StatusCode.RUNNING]
    ids = {record.request_id for record in ended}
    running = [record for record in running if record.request_id not in ids]
    shown = [*ended, *running]
    written = await services.history.lines_of(shown)
    live = LiveLog({key: frozenset(lines) for key, lines in written.items()}, ids, feed.last)
    for record in shown:
        yield render_log(record, written[record.request_id])
    while not listener.closed:
        batch = await listener.get(at_most=WRITE_FACTS)
        lines = [f"==> {batch.missed} facts were missed"] if batch.missed else []
        for number, fact in batch.facts:
            lines += live.lines(number, fact)
        if lines:
            yield "".join(f"{line}\n" for line in lines)
            await asyncio.sleep(JOIN_S)


def _under_way(services: Services, query: RecordQuery) -> list[InvocationRecord]:
    """The running invocations, as records. The instances name them."""
    return [
        InvocationRecord(
            at_work.request_id,
            at_work.namespace,
            at_work.function,
            at_work.version,
            at_work.version,
            instance_id=at_work.instance_id,
        )
        for at_work in services.pool_view.instances()
        if (at_work.namespace, at_work.function) == (query.namespace, query.function_name)
        and at_work.request_id
        and query.request_id in (None, at_work.request_id)
    ]


class LiveLog:
    """Makes lines of facts. ``written`` has the lines that were sent before, by request. ``ended``
    are those of these requests that had ended. Facts up to number ``until`` may repeat such
    lines: one with the same time and text is the same line."""

    def __init__(
        self, written: dict[str, frozenset[tuple[float, str]]], ended: set[str], until: int
    ) -> None:
        self._written = written
        self._ended = ended
        self._begun = written.keys() - ended
        self._until = until
        #: The request or instance of the last line.
        self._speaker = next(reversed(written), "")

    def lines(self, number: int, fact: Fact) -> Iterator[str]:
        """What to write for the fact of this number."""
        if number > self._until:
            self._written, self._ended = {}, set()
        match fact:
            case InvocationDispatched() if fact.request_id not in self._ended | self._begun:
                self._begun.add(fact.request_id)
                self._speaker = fact.request_id
                yield opening(fact.request_id)
            case LinesWritten():
                yield from self._output(fact)
            case InvocationEnded(record) if record.request_id not in self._ended:
                self._begun.discard(record.request_id)
                if self._speaker == record.request_id:
                    self._speaker = ""
                yield from closing(record)

    def _output(self, fact: LinesWritten) -> Iterator[str]:
        written = self._written.get(fact.request_id, frozenset())
        lines = [line[1] for line in fact.lines if line not in written]
        speaker = fact.request_id or fact.instance_id
        if lines and speaker != self._speaker:
            self._speaker = speaker
            known = f"RequestId:{fact.request_id}" if fact.request_id else f"instance {speaker}"
            yield f"==> {known}"
        yield from lines
