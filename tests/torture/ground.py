"""What the parts share: a sandbox under load, and what is counted."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.product import Product, bash_runtime, left_behind
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Act = Callable[[httpx.Client, int], None]

#: A request that has no answer after this time hangs, seconds.
HANG_S = 60
#: What was accepted has this long to be done once all is well again, seconds.
SETTLE_S = 90
FUNCTION = "tortured"
#: Seconds.
TIMEOUT, INIT_TIMEOUT = 3, 5


@dataclass
class Counts:
    """Of one part. ``requests`` are those that were answered or cut off with their sandbox.

    ``lost``: acknowledged, and not there or not done afterwards. ``hung``: no answer within 60 s,
    or no end within its bound. ``leaked``: containers, networks, volumes or processes that are left
    at the end. ``wrong``: another answer than the right one or a typed error, a stack trace, or a
    sandbox that does not work when all is well again.
    """

    requests: int = 0
    lost: int = 0
    hung: int = 0
    leaked: int = 0
    wrong: int = 0
    told: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bad(self) -> int:
        """How much went wrong."""
        return self.lost + self.hung + self.leaked + self.wrong

    def count(self, what: str, told: str = "") -> None:
        """One more of ``what``, for the reason that is told."""
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)
            if told and len(self.told) < 20:
                self.told.append(f"{what}: {told}")


@dataclass(frozen=True)
class Plan:
    """``short``: the part of the run in CI. Files go below ``directory``."""

    short: bool
    directory: Path
    seed: int

    def some(self, long: int, short: int) -> int:
        """How often, or how long."""
        return short if self.short else long


class Tortured:
    """A sandbox with one function, whose answers are checked."""

    def __init__(self, counts: Counts, directory: Path, engine: str, **settings: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.counts = counts
        self.product = Product(
            directory / "data", engine, **{"SCF_ASYNC_RETRY_INTERVAL": "1", **settings}
        )
        self.product.log_path = directory / "control.log"
        self.product.http.timeout = httpx.Timeout(HANG_S)
        self.engine = engine
        #: Acknowledged events, and the newest acknowledged description.
        self.events: list[str] = []
        self.described = 0
        self._changes = itertools.count(1)

    def create(self) -> None:
        self.product.create(
            FUNCTION,
            {"bootstrap": bash_runtime()},
            timeout=f"{TIMEOUT}",
            init_timeout=f"{INIT_TIMEOUT}",
            environment=json.dumps({"MARK": self.product.installation}),
        )

    def restart(self) -> None:
        """Start it, and count what hangs."""
        try:
            self.product.start()
        except AssertionError as error:
            self.counts.count("wrong", f"it does not start: {str(error)[-300:]}")
            raise

    def ask(
        self, client: httpx.Client, method: str, path: str, **more: Any
    ) -> httpx.Response | None:
        """None where the sandbox went away meanwhile."""
        try:
            answer = client.request(method, f"{self.product.url}{path}", **more)
        except httpx.TimeoutException:
            self.counts.count("hung", f"{method} {path}")
            return None
        except httpx.TransportError:
            self.counts.count("requests")
            return None
        self.counts.count("requests")
        if "Traceback" in answer.text:
            self.counts.count("wrong", f"{method} {path}: a stack trace")
        return answer

    def invoke(self, client: httpx.Client, number: int) -> None:
        """Right, or a typed error."""
        path = f"/functions/{FUNCTION}/invocations"
        answer = self.ask(client, "POST", path, json={"n": number})
        if answer is None:
            return
        if answer.status_code == 200:
            if answer.json() != {"n": number}:
                self.counts.count("wrong", f"event {number} was answered {answer.text[:100]}")
        elif not _typed(answer):
            self.counts.count("wrong", f"event {number}: {answer.status_code} {answer.text[:200]}")

    def send(self, client: httpx.Client, number: int) -> None:
        """An asynchronous event."""
        path = f"/functions/{FUNCTION}/invocations?type=event"
        answer = self.ask(client, "POST", path, json={"n": number})
        if answer is not None and answer.status_code == 202:
            self.events.append(answer.headers["X-Scf-Request-Id"])

    def describe(self, client: httpx.Client, _number: int) -> None:
        """A change, with a number that no earlier one had."""
        number = next(self._changes)
        body = {"description": f"{number}"}
        answer = self.ask(client, "PATCH", f"/functions/{FUNCTION}", json=body)
        if answer is not None and answer.status_code in (200, 202):
            self.described = max(self.described, number)

    @contextmanager
    def load(self, *, changes: bool = True) -> Iterator[None]:
        """Two clients that wait for results, one that sends events, and one that changes it."""
        over = threading.Event()

        def repeat(act: Act, pause: float) -> None:
            number = 0
            with httpx.Client(timeout=HANG_S, trust_env=False) as client:
                while not over.is_set():
                    number += 1
                    act(client, number)
                    over.wait(pause)

        acts: list[tuple[Act, float]] = [(self.invoke, 0.01), (self.invoke, 0.02), (self.send, 0.1)]
        if changes:
            acts.append((self.describe, 0.5))
        threads = [threading.Thread(target=repeat, args=act) for act in acts]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(HANG_S + 30)

    def settle(self) -> None:
        """All is well again: whatever was acknowledged is there, or is counted as lost."""
        missing = list(self.events)

        def all_done() -> bool:
            missing[:] = [event for event in missing if not self._done(event)]
            return not missing

        with suppress(AssertionError):
            wait_until(all_done, SETTLE_S)
        for event in missing:
            self.counts.count("lost", f"event {event}")
        with httpx.Client(timeout=HANG_S, trust_env=False) as client:
            answer = self.ask(client, "GET", f"/functions/{FUNCTION}")
            if answer is None or answer.status_code != 200:
                self.counts.count("lost", "the function")
            elif int(answer.json()["description"] or 0) < self.described:
                self.counts.count("lost", f"change {self.described}")
            answer = self.ask(client, "POST", f"/functions/{FUNCTION}/invocations", json={"n": 0})
            if answer is None or answer.status_code != 200:
                self.counts.count("wrong", f"it does not work: {answer and answer.text[:200]}")

    def end(self, within_s: float = 25) -> None:
        """Stop it; count what is left."""
        process = self.product.process
        if process is not None:
            process.terminate()
            try:
                process.wait(within_s)
            except Exception:  # whatever it is, it must be gone
                self.counts.count("hung", f"the stop took more than {within_s:.0f} s")
                process.kill()
                process.wait(10)
            self.product.process = None
        self.product.http.close()
        log = self.product.log_path
        if log.exists() and "Traceback" in log.read_text(errors="replace"):
            self.counts.count("wrong", f"a stack trace in {log}")
        for left in self._left():
            self.counts.count("leaked", left)

    def _left(self) -> list[str]:
        if self.engine == "docker":
            return left_behind(self.product.installation)
        mark = f"MARK={self.product.installation}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes():
                    found.append(f"process {path.parent.name}")
        return found

    def _done(self, event: str) -> bool:
        try:
            found = self.product.http.get(f"/invocations/{event}")
        except httpx.TransportError:
            return False
        return found.status_code == 200 and found.json()["status"] not in (0, 202)


def for_a_while(seconds: float) -> None:
    """Let the load go on."""
    time.sleep(seconds)  # how long bad days last is what is tried


def _typed(answer: httpx.Response) -> bool:
    """An outcome of the platform's, or an error with a code and a message."""
    try:
        body = answer.json()
    except ValueError:
        return False
    if "X-Scf-Status" in answer.headers:
        return "errorMessage" in body
    return bool(body.get("error", {}).get("code") and body["error"]["message"])
