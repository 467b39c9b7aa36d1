"""What happens in the sandbox, told once, to whoever listens.

The feed keeps the newest facts in a ring, and each listener reads the ring at its own pace. So
publishing is one append, however many listen and however slow they are; a listener that the ring
has overtaken is told how many facts it missed. Facts are numbered from 1 in each run of the
sandbox.

Nothing here reads or writes anything. All on one event loop.
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

#: The ring holds so many facts, or so many bytes of them, whichever is reached first.
RING_FACTS = 10_000
RING_BYTES = 8 * 1024 * 1024
#: So many facts at most come into the ring, are shown to the observers, and leave the ring
#: together. So there may be up to so many more than the ring's bounds say, twice.
AT_ONCE = 64
#: Waiting listeners are woken this long after the first fact that they can read: once, however many
#: facts come by then. Seconds.
WAKE_S = 0.01
#: The most facts of one reading, unless the listener says otherwise.
READ_AT_ONCE = 100


class Filter(NamedTuple):
    """Which facts a listener wants; None means any. A fact without a function is for listeners
    that ask for none."""

    namespace: str | None = None
    function: str | None = None
    request_id: str | None = None
    types: frozenset[type[Fact]] | None = None

    def wants(self, fact: Fact) -> bool:
        """Whether it is one of them."""
        return (
            (self.types is None or type(fact) in self.types)
            and self.function in (None, getattr(fact, "function", ""))
            and self.namespace in (None, getattr(fact, "namespace", ""))
            and self.request_id in (None, getattr(fact, "request_id", ""))
        )


EVERYTHING = Filter()


class Batch(NamedTuple):
    """What one reading gave. ``missed`` counts the facts that the ring had lost before, wanted or
    not. ``place`` is the number of the last fact looked at: where the next reading goes on."""

    facts: list[tuple[int, Fact]]
    missed: int
    place: int


class _Block(NamedTuple):
    """Facts that came into the ring together and leave it together; what they weigh, bytes."""

    facts: list[Fact]
    size: int


class Feed:
    """The facts of one run of the sandbox. Made by the control plane, handed to publishers.

    ``run`` tells this run's numbers from an earlier one's. ``asked`` are the kinds of facts that
    somebody reads: publishers on the way of an invoke look there before they make one. The ring is
    filled from the first listener on: before that nobody has a place to go back to.
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
        #: Somebody waits, and no alarm is set to wake them yet.
        self._awaited = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def last(self) -> int:
        """The number of the newest fact; 0 before the first."""
        return self._lost + self._held + len(self._fresh)

    @property
    def oldest(self) -> int:
        """The number of the oldest fact that is kept, or of the next fact if none is kept."""
        self.gather()
        return self._lost + 1

    def publish(self, fact: Fact) -> None:
        """State a fact. Takes less than a microsecond; never fails."""
        self._fresh.append(fact)
        if self._awaited or len(self._fresh) >= AT_ONCE:
            self._attend()

    def observe(
        self, observer: Callable[[Sequence[Fact]], None], kinds: Iterable[type[Fact]]
    ) -> None:
        """Show facts to ``observer``, all of these ``kinds`` and maybe others, in order, some at a
        time: within ``publish``, or ``gather``.

        It must not wait. Its failures are logged and go no further.
        """
        self._observers.append(observer)
        self.asked |= frozenset(kinds)

    def listen(self, wanted: Filter = EVERYTHING, after: int | None = None) -> Subscription:
        """Read what is published from now on, or everything after a number of this run."""
        if not self._listened:
            self.gather()  # not for the ring
            self._listened = True
            self.asked = frozenset(NAMES)
        return Subscription(self, wanted, self.last if after is None else after)

    def gather(self) -> None:
        """Put what is fresh into the ring, and show it to the observers."""
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
            except Exception:  # an observer's boundary: publishers are not to be bothered
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
        """End every subscription, and those to come. Facts are still shown to the observers."""
        self.closed = True
        self._wake()

    # ------------------------------------------------------------------ the subscriptions' side

    def after(self, place: int) -> tuple[int, Iterator[Fact]]:
        """How many facts after ``place`` are lost; all the others, to be read at once."""
        self.gather()
        return max(0, self._lost - place), self._from(place)

    def _from(self, place: int) -> Iterator[Fact]:
        number = self._lost
        for block in self._ring:
            if number + len(block.facts) > place:
                yield from islice(block.facts, max(0, place - number), None)
            number += len(block.facts)

    async def news(self, within_s: float | None) -> None:
        """Wait until something is published, or for so long, or until the feed is closed."""
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
    """One listener's place in the feed. It holds nothing of the feed: there is nothing to close."""

    def __init__(self, feed: Feed, wanted: Filter, place: int) -> None:
        self._feed = feed
        self._wanted = wanted
        self.place = place

    @property
    def closed(self) -> bool:
        """Nothing more will come."""
        return self._feed.closed

    async def get(self, within_s: float | None = None, at_most: int = READ_AT_ONCE) -> Batch:
        """The next facts that are wanted, ``at_most`` so many, as soon as there are any.

        Empty after ``within_s`` seconds without any, and when the feed is closed.
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
        """The same of what is there now."""
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
