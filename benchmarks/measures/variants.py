"""Measures other warm invokes: with a line of log, signed, by the bash bootstrap, with 6 MB."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import signing
from benchmarks.client import call
from benchmarks.contest import EVENT, FUNCTION, latencies, rates
from benchmarks.load import Load, wrk
from benchmarks.ours import result
from benchmarks.peers import rie
from benchmarks.peers.limit import limit
from benchmarks.programs import bash_for_lambda, bash_package
from benchmarks.rows import Row, at_least
from benchmarks.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Contest
    from benchmarks.ours import Sandbox

#: The same program, on the same way, with and without a line of log.
LINE, SILENT = '{"do":"line"}', '{"do":"none"}'
WRITTEN = "a line of the function's own log"

#: A JSON text of a little less than 6 MB: the event's limit.
LARGE = json.dumps("x" * (6 * 1024 * 1024 - 1024))


def line(contest: Contest) -> list[Row]:
    """Compare a function that writes a line per event with itself silent, and with the emulator."""
    event, name = LINE.encode(), "ours on the host"
    with contest.rie.contained(contest.containers, contest.code) as port, contest.host() as plane:
        plane.create(FUNCTION, contest.package)
        noted = result(call(plane.invoke(FUNCTION, LINE)).json())["FunctionRequestId"]
        until(lambda: WRITTEN in plane.record(noted)["log"], "the line is in its request's log")
        loads = contest.loads(
            {
                "line": (plane.checked(FUNCTION, LINE), 1),
                "silent": (plane.checked(FUNCTION, SILENT), 1),
                "peer": (rie.request(port, event), 1),
            }
        )
    bounds = (
        "A line goes from the bootstrap through init to the control plane, which gives it to its"
        " request and keeps it; init copies it for `docker logs`. All of that is on the cores that"
        " the invocation has. More cores, or a part of the control plane compiled, would lift it."
    )
    ours, silent, peer = loads["line"], loads["silent"], loads["peer"]
    contained = "RIE in a container"
    return [
        Row("rate", rates(name, ours), rates("ours, silent", silent)),
        Row("p50", latencies(name, ours), latencies("ours, silent", silent)),
        Row("rate", rates(name, ours), rates(contained, peer), at_least(1.0), bounds=bounds),
        Row("p50", latencies(name, ours), latencies(contained, peer)),
    ]


def signature(contest: Contest) -> list[Row]:
    """Signatures that are checked against signatures that are not. Both get signed requests,
    because Tencent's clients always sign."""
    keys = {"SCF_CREDENTIALS": f"{signing.SECRET_ID}:{signing.SECRET_KEY}"}
    with contest.host(**keys, SCF_SIGNATURE="off") as open_house, contest.host(**keys) as guarded:
        for plane in (open_house, guarded):
            plane.create(FUNCTION, contest.package)
            plane.checked(FUNCTION, EVENT)

        def turn(plane: Sandbox) -> Callable[[], Load]:
            # Sign for each turn: a signature is valid for five minutes.
            return lambda: wrk(plane.invoke(FUNCTION, EVENT), clients=1, seconds=contest.seconds)

        loads = contest.interleave({"enforced": turn(guarded), "off": turn(open_house)})
    bounds = (
        "Two hashes and a keyed hash of small texts per request, and the texts themselves, in"
        " Python; OpenSSL takes longer to start each of these hashes than to do it. A part of it"
        " compiled would lift it."
    )
    ours, peer = rates("signatures enforced", loads["enforced"]), rates("off", loads["off"])
    return [Row("rate", ours, peer, at_least(0.85), bounds=bounds)]


def bash(contest: Contest) -> list[Row]:
    """The README's bash function: two curl processes and one log line for each event."""
    event = EVENT.encode()
    expected = f"Echoing request: '{EVENT}'"
    code = bash_for_lambda(contest.directory / "bash")
    with contest.rie.contained(contest.containers, code) as port, contest.host() as plane:
        plane.create(FUNCTION, bash_package())
        loads = contest.loads(
            {
                "ours": (plane.checked(FUNCTION, EVENT, expected), 1),
                "peer": (rie.request(port, event, expected.encode()), 1),
            }
        )
    bounds = (
        "The time is that of starting two curl processes and a subshell per event; the sandbox's"
        " share is small. The emulator's container has no limits, ours has an instance's."
    )
    ours, peer = loads["ours"], loads["peer"]
    return [
        Row("rate", rates("ours on the host", ours), rates("RIE in a container", peer),
            at_least(1.0), bounds=bounds),
        Row("p50", latencies("ours on the host", ours), latencies("RIE in a container", peer)),
    ]  # fmt: skip


def large(contest: Contest) -> list[Row]:
    """An event of 6 MB that comes back as the result, one client."""
    with limit(contest.containers, contest.code) as bare, contest.host() as plane:
        plane.create(FUNCTION, contest.package)
        loads = contest.loads(
            {
                "limit": (bare.checked(LARGE.encode()), 1),
                "ours": (plane.checked(FUNCTION, LARGE), 1),
            }
        )
    bounds = (
        "The limit moves bytes; the cloud API wraps them: the event is JSON text within JSON, so it"
        " is read, checked, and the result escaped again. Only a leaner way of escaping would lift"
        " it."
    )
    ours, peer = loads["ours"], loads["limit"]
    return [
        Row("rate", rates("ours on the host", ours), rates("bare rendezvous", peer),
            at_least(0.7), bounds=bounds),
        Row("p50", latencies("ours on the host", ours), latencies("bare rendezvous", peer)),
    ]  # fmt: skip
