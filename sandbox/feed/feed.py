"""Publishes what happens in the sandbox to its listeners.

The feed keeps the newest facts in a ring. Each listener reads the ring at its own pace. So
publishing is one append, with any number of slow listeners. A listener that the ring has overtaken
is told how many facts it missed. Each run of the sandbox numbers its facts from 1.

The feed does no I/O. It works on one event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import structlog

from sandbox.clock import SystemClock
from sandbox.feed.facts import NAMES, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sandbox.clock import Clock
    from sandbox.feed.facts import Fact

log = structlog.get_logger()

#: The ring holds this many facts, or this many bytes of them, whichever is reached first.
RING_FACTS = 10_000
RING_BYTES = 8 * 1024 * 1024
#: The most facts that come into the ring together, are shown to the observers together, and leave
#: the ring together. So the ring can exceed its bounds by twice as many.
AT_ONCE = 64
#: Waiting listeners are woken this long after the first new fact. So many facts wake them once.
#: Seconds.
WAKE_S = 0.01
#: The default of the most facts of one reading.
READ_AT_ONCE = 100


class Filter(NamedTuple):
    """Which facts a listener wants. None means any. A fact without a function goes only to
    listeners that name no function."""

    namespace: str | None = None
    function: str | None = None
    request_id: str | None = None
    types: frozenset[type[Fact]] | None = None

    def wants(self, fact: Fact) -> bool:
        """Whether the listener wants this fact."""
        return (
            (self.types is None or type(fact) in self.types)
            and self.function in (None, getattr(fact, "function", ""))
            and self.namespace in (None, getattr(fact, "namespace", ""))
            and self.request_id in (None, getattr(fact, "request_id", ""))
        )


EVERYTHING = Filter()


class Batch(NamedTuple):
    """The result of one reading. ``missed`` counts the facts that the ring had lost before, wanted
    or not. ``place`` is the number of the last fact read. The next reading begins after it."""

    facts: list[tuple[int, Fact]]
    missed: int
    place: int


class _Block(NamedTuple):
    """Facts that come into the ring and leave it together. ``size`` is their weight, bytes."""

    facts: list[Fact]
    size: int


class Feed:
    """The facts of one run of the sandbox. Made by the control plane, handed to publishers.

    ``run`` marks the numbers of this run. ``asked`` are the kinds of facts that have a reader.
    Publishers on the way of an invoke make no other ones. The ring is filled from the first
    listener on: before that nobody has a place to go back to.
    """

    def __init__(
        self, clock: Clock | None = None, facts: int = RING_FACTS, size: int = RING_BYTES
    ) -> None:
        self.run = secrets.token_hex(4)
        self.closed = False
        self.now = (clock or SystemClock()).now
        self._facts, self._size = facts, size
        self._fresh: list[Fact] = []
        self._ring: deque[_Block] = deque()
        self._held = 0
        self._bytes = 0
        self._lost = 0
        self._listened = False
        self.asked: frozenset[type[Fact]] = frozenset()
        self._observers: list[Callable[[Sequence[Fact]], None]] = []
        self._waiting: set[asyncio.Future[None]] = set()
        #: Listeners wait, and no alarm is set yet to wake them.
        self._awaited = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def last(self) -> int:
        """The number of the newest fact, 0 before the first."""
        return self._lost + self._held + len(self._fresh)

    @property
    def oldest(self) -> int:
        """The number of the oldest fact that is kept, or of the next fact if none is kept."""
        self.gather()
        return self._lost + 1

    def publish(self, fact: Fact) -> None:
        """Publish a fact. Takes less than a microsecond and never fails."""
        self._fresh.append(fact)
        if self._awaited or len(self._fresh) >= AT_ONCE:
            self._attend()

    def observe(
        self, observer: Callable[[Sequence[Fact]], None], kinds: Iterable[type[Fact]]
    ) -> None:
        """Show all facts of these ``kinds`` to ``observer``, and maybe others. They come in order
        and in groups, within ``publish`` or ``gather``.

        The observer must not wait. Its failures are logged only.
        """
        self._observers.append(observer)
        self.asked |= frozenset(kinds)

    def listen(self, wanted: Filter = EVERYTHING, after: int | None = None) -> Subscription:
        """Read facts from now on, or after a number of this run."""
        if not self._listened:
            self.gather()  # not for the ring
            self._listened = True
            self.asked = frozenset(NAMES)
        return Subscription(self, wanted, self.last if after is None else after)

    def gather(self) -> None:
        """Put fresh facts into the ring, and show them to the observers."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        if self._listened:
            self._keep(fresh)
        else:
            self._lost += len(fresh)
        for observer in self._observers:
            try:
                observer(fresh)
            except Exception:  # an observer's boundary: publishers must not fail with it
                log.exception("feed_observer_failed")

    def _keep(self, facts: list[Fact]) -> None:
        block = _Block(facts, sum(map(weight, facts)))
        self._ring.append(block)
        self._held += len(facts)
        self._bytes += block.size
        while self._ring:
            count, size = len(self._ring[0].facts), self._ring[0].size
            if self._held - count < self._facts and self._bytes <= self._size:
                break
            self._ring.popleft()
            self._held -= count
            self._lost += count
            self._bytes -= size

    def close(self) -> None:
        """End every subscription, also later ones. Observers still get facts."""
        self.closed = True
        self._wake()

    # ------------------------------------------------------------------ the subscriptions' side

    def after(self, place: int) -> tuple[int, Iterator[Fact]]:
        """How many facts after ``place`` are lost, and the others. Read them without an await."""
        self.gather()
        return max(0, self._lost - place), self._from(place)

    def _from(self, place: int) -> Iterator[Fact]:
        number = self._lost
        for block in self._ring:
            if number + len(block.facts) > place:
                yield from islice(block.facts, max(0, place - number), None)
            number += len(block.facts)

    async def news(self, within_s: float | None) -> None:
        """Wait until a fact is published, ``within_s`` has passed, or the feed is closed."""
        if self.closed:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self._awaited = self._alarm is None
        try:
            async with asyncio.timeout(within_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)
            self._awaited = bool(self._waiting) and self._alarm is None

    def _attend(self) -> None:
        if self._awaited:
            self._awaited = False
            self._alarm = asyncio.get_running_loop().call_later(WAKE_S, self._wake)
        if len(self._fresh) >= AT_ONCE:
            self.gather()

    def _wake(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._awaited = None, False
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Subscription:
    """One listener's place in the feed. The feed does not know it, so it needs no close."""

    def __init__(self, feed: Feed, wanted: Filter, place: int) -> None:
        self._feed = feed
        self._wanted = wanted
        self.place = place

    @property
    def closed(self) -> bool:
        """Whether the feed has ended."""
        return self._feed.closed

    async def get(self, within_s: float | None = None, at_most: int = READ_AT_ONCE) -> Batch:
        """Wait for the next wanted facts. Returns ``at_most`` of them.

        The batch is empty after ``within_s`` seconds without any, and if the feed is closed.
        """
        loop = asyncio.get_running_loop()
        until = None if within_s is None else loop.time() + within_s
        while True:
            batch = self.read(at_most)
            left = None if until is None else until - loop.time()
            if batch.facts or batch.missed or self.closed or (left is not None and left <= 0):
                return batch
            await self._feed.news(left)

    def rewind(self) -> None:
        """Go on with the oldest fact that the feed keeps. Older ones do not count as missed."""
        self.place = self._feed.oldest - 1

    def read(self, at_most: int = READ_AT_ONCE) -> Batch:
        """The next wanted facts of those that are there, without waiting."""
        missed, facts = self._feed.after(self.place)
        self.place += missed
        found: list[tuple[int, Fact]] = []
        for fact in facts:
            self.place += 1
            if self._wanted.wants(fact):
                found.append((self.place, fact))
                if len(found) == at_most:
                    break
        return Batch(found, missed, self.place)

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Batch:
        batch = await self.get()
        if self.closed and not batch.facts:
            raise StopAsyncIteration
        return batch
