"""A data directory of commit 8c88dc2, whose control plane was killed at work, opens and behaves."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from api.cloud.views import function_details, function_item
from sandbox.clock import new_request_id
from sandbox.events.model import TraceQuery
from sandbox.functions.model import DeadLetterQueue, FunctionStatus
from sandbox.invocation import InvokeOptions
from sandbox.packages.package import PackageStore
from sandbox.records.query import RecordQuery
from tests.support.clock import FakeClock
from tests.support.control_plane import NoPort, plane_of
from tests.support.engine import FakeContainer, FakeEngine, Runtime
from tests.support.waiting import eventually
from tests.unit.store.old_data.packages import PACKAGES, zip_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.functions.model import FunctionVersion
    from sandbox.instance.rendezvous import Event

TEXTS = Path(__file__).parent / "old_data"

#: Two minutes after the directory was left. By now every event is due, and none is too old.
MOMENT = 1795656644.0

DEAD = DeadLetterQueue(type="CMQ-QUEUE", name="dead", filter_type="NEEDED")


class Opened:
    """A control plane on the directory, whose functions echo. Those in ``failing`` fail."""

    def __init__(self, directory: Path) -> None:
        clock = FakeClock(running=True)
        clock.ahead_s = MOMENT - clock.now()
        self.engine = FakeEngine()
        self.engine.on_release = self._bootstrap
        self.plane = plane_of(directory, self.engine, clock)
        self.ran: list[tuple[str, bytes, int]] = []
        self.failing: set[str] = set()

    def _bootstrap(self, container: FakeContainer) -> None:
        runtime = Runtime(container)
        loop = asyncio.get_running_loop()

        def take(event: Event) -> None:
            invocation = runtime.instance.invocation
            assert invocation is not None
            name = invocation.function.name
            self.ran.append((name, event.body, invocation.retry_num))
            loop.call_soon(finish, event, name in self.failing)

        def finish(event: Event, error: bool) -> None:
            runtime.instance.push(event.body, error=error)
            runtime.instance.poll(take)

        runtime.instance.ready()
        runtime.instance.poll(take)

    async def send(self, name: str, namespace: str = "default") -> str:
        """Invoke a function asynchronously; the request id."""
        options = InvokeOptions(new_request_id(), namespace, invocation_type="Event")
        await self.plane.invoker.invoke_async(name, b'{"new":1}', options)
        return options.request_id

    async def ended(self) -> None:
        """Wait until every event is over."""
        await eventually(lambda: self.plane.queue.depth == 0)

    def latest(self, name: str, namespace: str = "default") -> FunctionVersion:
        return self.plane.functions.get(namespace, name).latest

    def details(self, name: str, namespace: str = "default") -> dict[str, Any]:
        function = self.plane.functions.get(namespace, name)
        return function_details(function, function.latest, "$LATEST", "")


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Opened]:
    parts = Opened(directory)
    async with parts.plane as plane:
        await plane.open(NoPort())
        yield parts


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The data directory, made of its texts."""
    with closing(sqlite3.connect(tmp_path / "scf.db")) as database:
        database.executescript((TEXTS / "scf.sql").read_text())
    (tmp_path / "journal.1").write_bytes((TEXTS / "journal.jsonl").read_bytes())
    packages = PackageStore(tmp_path / "packages")
    for name in PACKAGES:
        packages.save(zip_of(name))
    return tmp_path


async def test_every_function_is_there_with_its_versions_and_aliases(directory: Path) -> None:
    async with opened(directory) as parts:
        names = [function.name for function in parts.plane.functions.list().functions]
        assert sorted(names) == [
            "dropping",
            "echo",
            "letters",
            "not-executable",
            "stuck",
            "untraced",
            "updating",
            "waiting",
        ]
        assert [f.name for f in parts.plane.functions.list("stage").functions] == ["traced"]
        echo = parts.plane.functions.get("default", "echo")
        assert (list(echo.versions), echo.published) == (["$LATEST", "1", "2"], 2)
        assert (echo.tags, echo.reserved_mb) == ({"team": "a"}, 1024)
        assert echo.latest.config.environment == {"GREETING": "hello"}
        assert echo.versions["2"].config.description == "version 2"
        assert [alias.name for alias in echo.all_aliases()] == ["$DEFAULT", "canary", "live"]
        assert echo.aliases["live"].weights[0].weight == 0.25
        assert echo.aliases["canary"].route({"user": "me"}, lambda: 0.0) == "1"


async def test_every_package_and_layer_is_kept_and_can_be_read(directory: Path) -> None:
    async with opened(directory) as parts:
        await parts.plane.functions.code.drain()
        assert len(parts.plane.packages.digests()) == len(PACKAGES)
        for function in parts.plane.functions.list().functions:
            for digest in function.digests:
                assert parts.plane.packages.open(digest).ref.digest == digest
        layer = parts.plane.catalog.layers.get("words")
        assert (list(layer.versions), layer.versions[2].description) == ([1, 2], "words 2")
        [bound] = parts.latest("echo").config.layers
        assert (bound.version, bound.digest) == (2, layer.versions[2].digest)
        assert parts.plane.packages.open(bound.digest).read("lib/words.txt", 9) == b"two\n"


async def test_what_takes_effect_is_typed_and_kept_holds_the_rest(directory: Path) -> None:
    async with opened(directory) as parts:
        traced = parts.latest("traced", "stage").config
        assert (traced.traced, traced.keeps_event_states, traced.dead_letter) == (True, True, DEAD)
        assert traced.kept == {}
        untraced = parts.latest("untraced").config
        assert (untraced.traced, untraced.dead_letter) == (False, DeadLetterQueue())
        assert not untraced.dead_letter.exists
        for version in parts.plane.functions.get("default", "echo").versions.values():
            assert not version.config.traced
            assert version.config.kept == {
                "VpcConfig": {"VpcId": "vpc-1", "SubnetId": "subnet-1"},
                "ClsTopicId": "topic-1",
            }


async def test_the_api_shows_functions_as_before(directory: Path) -> None:
    async with opened(directory) as parts:
        shown = parts.details("traced", "stage")
        assert (shown["AsyncRunEnable"], shown["TraceEnable"]) == ("TRUE", "TRUE")
        assert shown["DeadLetterConfig"] == {
            "Type": "CMQ-QUEUE",
            "Name": "dead",
            "FilterType": "NEEDED",
        }
        nothing = {"Type": "", "Name": "", "FilterType": ""}
        assert parts.details("untraced")["DeadLetterConfig"] == nothing
        assert parts.details("echo")["DeadLetterConfig"] == nothing
        assert parts.details("echo")["VpcConfig"] == {"VpcId": "vpc-1", "SubnetId": "subnet-1"}
        assert function_item(parts.plane.functions.get("stage", "traced"))["TraceEnable"] == "TRUE"
        assert function_item(parts.plane.functions.get("default", "echo"))["TraceEnable"] == "FALSE"


async def test_an_update_that_was_under_way_is_completed(directory: Path) -> None:
    async with opened(directory) as parts:
        found = (await parts.plane.functions.settled("default", "updating")).latest
        assert (found.status, found.candidate) == (FunctionStatus.ACTIVE, None)
        assert (found.config.memory_mb, found.config.traced) == (512, True)
        assert found.config.dead_letter == DeadLetterQueue(type="CMQ-TOPIC", name="other")
        assert found.code is not None
        # The first one: events that waited are run next, and prepare what they need.
        assert parts.engine.prepared[0] == (found.code.digest, ())


async def test_what_is_saved_now_is_read_again(directory: Path) -> None:
    async with opened(directory) as parts:
        before = await parts.plane.functions.force_cold("stage", "traced")
    async with opened(directory) as parts:
        after = parts.plane.functions.get("stage", "traced")
        assert (after, after.epoch) == (before, 1)
        assert after.latest.config.dead_letter == DEAD


async def test_records_are_there_also_those_of_the_journal(directory: Path) -> None:
    async with opened(directory) as parts:
        total, found = await parts.plane.history.find(RecordQuery("default", "echo"))
        assert (total, [record.ret_msg for record in found]) == (
            3,
            ['{"n":5}', '{"n":2}', '{"n":1}'],  # the newest was in the journal only
        )
        assert [record.qualifier for record in found] == ["$LATEST", "live", "$LATEST"]
        [log] = await parts.plane.history.logs(found[:1])
        assert 'working on {"n":5}' in log
        _, [refused] = await parts.plane.history.find(RecordQuery("default", "not-executable"))
        assert refused.status_code == 443
        _, [letter] = await parts.plane.history.find(RecordQuery("default", "letters"))
        assert letter.status_code == 430  # 202 in the database, its end in the journal


async def test_queued_events_are_run_with_their_bodies_and_numbers(directory: Path) -> None:
    async with opened(directory) as parts:
        await parts.ended()
        assert sorted(parts.ran) == [
            ("stuck", b'{"from":"stuck"}', 0),
            ("stuck", b'{"second":true}', 0),
            ("waiting", b'{"from":"waiting"}', 1),
        ]
    with closing(sqlite3.connect(directory / "scf.db")) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (0,)


async def test_dead_letters_are_there_and_can_be_sent_again(directory: Path) -> None:
    async with opened(directory) as parts:
        total, [dropped, kept] = await parts.plane.dead_letters.find()
        assert total == 2
        assert (dropped.function_name, dropped.dropped) == ("dropping", True)
        assert (kept.function_name, kept.queue_type, kept.queue_name) == (
            "letters",
            "CMQ-QUEUE",
            "dead",
        )
        await parts.plane.dead_letters.redrive(kept.request_id, parts.plane.invoker)
        await parts.ended()
        assert ("letters", b'{"from":"letters"}', 0) in parts.ran


async def test_an_event_that_fails_now_goes_to_the_queue_that_was_configured(
    directory: Path,
) -> None:
    async with opened(directory) as parts:
        parts.failing = {"letters"}
        request_id = await parts.send("letters")
        await parts.ended()
        _, [newest] = await parts.plane.dead_letters.find("default", "letters", limit=1)
        assert (newest.request_id, newest.dropped) == (request_id, False)
        assert (newest.queue_type, newest.queue_name) == ("CMQ-QUEUE", "dead")


async def test_states_of_events_are_there_and_are_kept_on(directory: Path) -> None:
    async with opened(directory) as parts:
        total, [old] = await parts.plane.traces.find("stage", "traced", TraceQuery())
        assert (total, old.status, old.status_code) == (1, "FINISHED", 200)
        request_id = await parts.send("traced", "stage")
        await parts.ended()
        total, [newest, _] = await parts.plane.traces.find("stage", "traced", TraceQuery())
        assert (total, newest.request_id, newest.status) == (2, request_id, "FINISHED")


def test_the_zips_are_the_bytes_that_were_uploaded(directory: Path) -> None:
    """``zipfile`` must go on to write the same bytes, else the test has other packages."""
    text = (TEXTS / "scf.sql").read_text()
    for digest in PackageStore(directory / "packages").digests():
        assert digest in text, f"made anew otherwise by Python {sys.version}"
