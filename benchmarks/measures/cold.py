"""Measures cold starts: with one standing by, with none, twenty at once, and a new function."""

from __future__ import annotations

import base64
import io
import json
import os
import statistics
import tarfile
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from benchmarks.client import Caller, Reply, all_at_once
from benchmarks.contest import FUNCTION
from benchmarks.ours import result
from benchmarks.peers.limit import rendezvous
from benchmarks.peers.plain_docker import PlainDocker, run_to_answer
from benchmarks.programs import package
from benchmarks.rows import Row, Series, at_most, below

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Contest
    from benchmarks.ours import Sandbox

TRACE = '{"do":"trace"}'
DIE = '{"do":"die"}'
BURST, PARALLELISM = 20, 4  # the second is the default of SCF_START_PARALLELISM

START = (
    "Making and starting containers is the engine's work and fills these cores; a place spares it"
    " the network, and the client, init and the bootstraps run beside it. More cores, or a faster"
    " engine, would lift it."
)
RUN = "docker run, to its first answer"


def cold_call(plane: Sandbox, caller: Caller) -> tuple[Reply, dict[str, float]]:
    """Make one cold start with an instance standing by. Returns the answer and the bootstrap's
    times.

    It ends the instance afterwards, so the next start is cold again.
    """
    plane.await_standby(FUNCTION)
    return _traced(plane, caller)


def _traced(plane: Sandbox, caller: Caller) -> tuple[Reply, dict[str, float]]:
    reply = caller.call(plane.invoke(FUNCTION, TRACE))
    times: dict[str, float] = json.loads(result(reply.json())["RetMsg"])
    if times["began"] < reply.sent:
        raise RuntimeError("the instance was warm")
    caller.call(plane.invoke(FUNCTION, DIE))
    return reply, times


def standby(contest: Contest) -> list[Row]:
    """From the request to the answer while one container stands by, against ``docker run``."""
    per_round = 2 if contest.short else 5
    totals: dict[str, list[float]] = {}

    def turn(name: str, plane: Sandbox) -> Callable[[], float]:
        def run() -> float:
            over = []
            for _ in range(per_round):
                reply, own = cold_call(plane, callers[name])
                totals.setdefault(name, []).append(reply.seconds * 1000)
                mine = own["ready"] - own["began"] + own["pushed"] - own["got"]
                over.append((reply.seconds - mine) * 1000)
            return statistics.median(over)

        return run

    with ExitStack() as stack:
        where = stack.enter_context(rendezvous(contest.containers.network.gateway))
        planes = {"ours on the host": stack.enter_context(contest.host())}
        if not contest.short:
            planes["ours by compose"] = stack.enter_context(contest.compose())
        callers = {
            name: stack.enter_context(closing(Caller(plane.port))) for name, plane in planes.items()
        }
        for plane in planes.values():
            plane.create(FUNCTION, contest.package)
        contestants = {name: turn(name, plane) for name, plane in planes.items()}
        contestants["peer"] = lambda: run_to_answer(contest.containers, contest.code, where) * 1000
        found = contest.interleave(contestants)
    peer = Series(RUN, "ms", tuple(found["peer"]))
    rows: list[Row] = []
    for name in planes:
        series = Series(name, "ms", tuple(found[name]))
        rows += [
            Row("over the bootstrap's own init and run: p50", series, goal=below(10), bounds=START),
            Row("request to answer, all of it", Series(name, "ms", tuple(totals[name])), peer,
                at_most(0.1), bounds=START),
        ]  # fmt: skip
    return rows


def none_standing_by(contest: Contest) -> list[Row]:
    """Measure from the request to the answer when the container must be made, in a free place."""
    with (
        rendezvous(contest.containers.network.gateway) as where,
        contest.host(SCF_PLACES="2", SCF_STANDBY="0") as plane,
        closing(Caller(plane.port)) as caller,
    ):
        plane.create(FUNCTION, contest.package)

        def ours() -> float:
            plane.await_none(FUNCTION)  # then its place is free again
            return _traced(plane, caller)[0].seconds * 1000

        def peer() -> float:
            plane.await_none(FUNCTION)  # the removal would disturb the measure
            return run_to_answer(contest.containers, contest.code, where) * 1000

        found = contest.interleave({"ours": ours, "peer": peer})
    mine, other = Series("ours on the host", "ms", tuple(found["ours"])), tuple(found["peer"])
    return [Row("request to answer", mine, Series(RUN, "ms", other), at_most(0.5), bounds=START)]


def burst(contest: Contest) -> list[Row]:
    """Twenty events at once for twenty new instances, one of which stands by."""
    with (
        contest.host(SCF_PLACES=str(BURST + 1)) as plane,  # one more: somebody stands by
        closing(PlainDocker(contest.containers)) as docker,
    ):
        plane.create(FUNCTION, contest.package, timeout="120")
        hold_s = max(4.0, 3 * docker.start_many(BURST, PARALLELISM))
        order = json.dumps({"do": "delay", "ms": int(hold_s * 1000)}, separators=(",", ":"))

        def turn() -> float:
            plane.await_standby(FUNCTION)
            # Each event is held until the last instance has started, so no instance serves two.
            replies = all_at_once([plane.invoke(FUNCTION, order)] * BURST)
            ids = [result(reply.json())["FunctionRequestId"] for reply in replies]
            if not all(plane.record(each)["cold_start"] for each in ids):
                raise RuntimeError("an instance served twice: held too short")
            plane.force_cold(FUNCTION)
            return max(reply.seconds for reply in replies) - hold_s

        found = contest.interleave(
            {"ours": turn, "peer": lambda: docker.start_many(BURST, PARALLELISM)}
        )
    ours = Series("ours on the host: all answered", "s", tuple(found["ours"]))
    peer = Series(f"{BURST} x create + start", "s", tuple(found["peer"]))
    return [Row(f"{BURST} cold starts at once, wall", ours, peer, at_most(0.45), bounds=START)]


def create(contest: Contest) -> list[Row]:
    """CreateFunction with a zip of 5 MB until the function is Active."""
    bootstrap = (contest.code / "bootstrap").read_bytes()
    with contest.host() as plane, closing(PlainDocker(contest.containers)) as docker:
        caller = Caller(plane.port)

        def files() -> dict[str, bytes]:
            return {"bootstrap": bootstrap, "data": os.urandom(5_000_000)}

        def ours() -> float:
            name = f"new{time.time_ns()}"
            code = base64.b64encode(package(files())).decode()
            fields = {"FunctionName": name, "Code": {"ZipFile": code}, "Runtime": "CustomRuntime"}
            request = plane.cloud("CreateFunction", fields)
            look = plane.cloud("GetFunction", {"FunctionName": name})
            began = time.perf_counter()
            caller.call(request)
            while caller.call(look).json()["Response"]["Status"] == "Creating":
                time.sleep(0.002)
            seconds = time.perf_counter() - began
            if caller.call(look).json()["Response"]["Status"] != "Active":
                raise RuntimeError(f"{name} did not become Active")
            caller.call(plane.cloud("DeleteFunction", {"FunctionName": name}))
            # The engine still removes the last instance: that would disturb the measure.
            plane.await_none(name)
            return seconds

        def peer() -> float:
            tar = _tar(files())
            return docker.fill_volume(f"{contest.label}-plain", lambda: tar)

        found = contest.interleave({"ours": ours, "peer": peer})
        caller.close()
    return [
        Row(
            "CreateFunction to Active",
            Series("ours on the host", "s", tuple(found["ours"])),
            Series("volume, container, archive", "s", tuple(found["peer"])),
            at_most(1.5),
            bounds="Before the package goes to the engine, the zip comes as base64 within JSON, is"
            " decoded, hashed and decompressed to check it; and the function is on the disk, safe"
            " from a loss of power, once when it is answered and once when it is Active. The engine"
            " works meanwhile, on the same cores; more of these would lift it.",
        )
    ]


def _tar(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()
