"""Measures warm invokes against the emulator in its two forms, and against the limit."""

from __future__ import annotations

from contextlib import ExitStack
from subprocess import SubprocessError
from typing import TYPE_CHECKING

from benchmarks.client import call
from benchmarks.contest import EVENT, FUNCTION, latencies, rates
from benchmarks.load import wrk, wrk_tolerant
from benchmarks.machine import processor_s
from benchmarks.peers import rie
from benchmarks.peers.limit import limit
from benchmarks.rows import Row, Series, at_least, at_most

if TYPE_CHECKING:
    from benchmarks.client import Request
    from benchmarks.contest import Contest
    from benchmarks.ours import Sandbox

CONTAINED, BARE, LIMIT = "RIE in a container", "RIE bare", "bare rendezvous"
HOST, COMPOSE = "ours on the host", "ours by compose"
PUBLISHED = "ours by compose, published port"

ONE_CORE = (
    "One Python process reads the request, keeps the record and the log, and carries the three"
    " messages of the runtime API; docs/en/timeline-warm.svg shows the shares. With the load"
    " generator, the bootstrap and the kernel on the same cores, every microsecond of it counts;"
    " more cores, or a part of it compiled, would lift it."
)
PROXIED = (
    "A published port goes through Docker's proxy process, which copies every byte once more and"
    " takes its share of the same cores. The machine's own network lifts it: scripts/up uses it"
    " where the engine runs on this machine."
)


def one_client(contest: Contest) -> list[Row]:
    """One client on one kept connection, one instance."""
    event = EVENT.encode()
    with ExitStack() as stack:
        enter = stack.enter_context
        contestants: dict[str, tuple[Request, int]] = {
            CONTAINED: (
                rie.request(enter(contest.rie.contained(contest.containers, contest.code)), event),
                1,
            ),
            BARE: (rie.request(enter(contest.rie.bare(contest.code)), event), 1),
            LIMIT: (enter(limit(contest.containers, contest.code)).checked(event), 1),
        }
        planes = _planes(contest, stack)
        for name, plane in planes.items():
            plane.create(FUNCTION, contest.package)
            contestants[name] = (plane.checked(FUNCTION, EVENT), 1)
        loads = contest.loads(contestants)
        notes = {name: _kept(plane) for name, plane in planes.items()}
    found: list[Row] = []
    for name in planes:
        rate, p50 = rates(name, loads[name]), latencies(name, loads[name])
        bounds = PROXIED if name == PUBLISHED else ONE_CORE
        for peer, faster, sooner in ((CONTAINED, 2.5, 0.4), (BARE, 1.5, 0.67)):
            found += [
                Row("rate", rate, rates(peer, loads[peer]), at_least(faster), notes[name], bounds),
                Row("p50", p50, latencies(peer, loads[peer]), at_most(sooner), bounds=bounds),
            ]
        limit_row = rates(LIMIT, loads[LIMIT])
        found.append(Row("rate", rate, limit_row, at_least(0.6), bounds=bounds))
    return found


def eight_clients(contest: Contest) -> list[Row]:
    """Eight clients on eight instances. RIE serves one client at a time, so its rate with one
    client is the peer."""
    event = EVENT.encode()
    with ExitStack() as stack:
        enter = stack.enter_context
        emulator = enter(contest.rie.contained(contest.containers, contest.code))
        bare = enter(limit(contest.containers, contest.code, 8))
        contestants = {
            CONTAINED: (rie.request(emulator, event), 1),
            LIMIT: (bare.checked(event), 8),
        }
        planes = _planes(contest, stack)
        for name, plane in planes.items():
            plane.create(FUNCTION, contest.package, timeout="60")
            plane.warm(FUNCTION, 8)
            contestants[name] = (plane.checked(FUNCTION, EVENT), 8)
        loads = contest.loads(contestants)
        notes = {name: _kept(plane) for name, plane in planes.items()}
        pids = {LIMIT: bare.pid, **{name: plane.pid for name, plane in planes.items()}}
        spent = {
            name: _processor_time(contest, name, pid, *contestants[name])
            for name, pid in pids.items()
        }
    peer = Series(f"{CONTAINED}, 1 client", "/s", rates("", loads[CONTAINED]).values)
    found: list[Row] = []
    for name in planes:
        rate, most = rates(name, loads[name]), rates(LIMIT, loads[LIMIT])
        bounds = PROXIED if name == PUBLISHED else ONE_CORE
        found += [
            Row("rate", rate, peer, at_least(4), notes[name], bounds),
            Row("rate", rate, most, at_least(0.6), bounds=_one_process(most, spent, name)),
            Row("processor time of one invocation", spent[name], spent[LIMIT]),
        ]
    found.append(_emulator_with_eight(contest))
    return found


def _planes(contest: Contest, stack: ExitStack) -> dict[str, Sandbox]:
    planes = {HOST: stack.enter_context(contest.host())}
    if not contest.short:
        planes[COMPOSE] = stack.enter_context(contest.compose())
        planes[PUBLISHED] = stack.enter_context(contest.compose(published=True))
    return planes


def _processor_time(
    contest: Contest, name: str, pid: int, request: Request, clients: int
) -> Series:
    """The processor time of one process for each invocation of a load."""
    before = processor_s(pid)
    load = wrk(request, clients=clients, seconds=contest.seconds)
    return Series(name, "µs", ((processor_s(pid) - before) / load.requests * 1e6,))


def _one_process(most: Series, spent: dict[str, Series], name: str) -> str:
    left = 1e6 / (0.6 * most.median)
    return (
        f"At 0.6 of the bare rendezvous' rate one Python process has {left:.0f} µs of its core for"
        f" an invocation. Ours takes {spent[name].median:.0f} µs to check the request, carry the"
        " three messages and keep record and log, where the bare rendezvous takes"
        f" {spent[LIMIT].median:.0f} µs to carry the messages. To have half of that compiled, or"
        " several processes on more cores than these, would lift it."
    )


def _kept(plane: Sandbox) -> str:
    """Says that no invocation failed, by the sandbox's own records."""
    if failed := plane.failures(FUNCTION):
        raise RuntimeError(f"{failed} invocations failed under load")
    return "every answer a success, by the records"


def _emulator_with_eight(contest: Contest) -> Row:
    with contest.rie.contained(contest.containers, contest.code) as port:
        request = rie.request(port, EVENT.encode())
        load = wrk_tolerant(request, clients=8, seconds=2)
        try:
            alive = call(request).body == EVENT.encode()
        except (OSError, SubprocessError):
            alive = False
    after = "it still answers" if alive else "it answers no more"
    return Row(
        "requests answered in 2 s to 8 clients",
        Series(CONTAINED, "", (float(load.requests),)),
        note=f"{load.failed} attempts failed; afterwards {after}",
    )
