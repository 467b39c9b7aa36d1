"""``python -m benchmarks``: run the measures, write the results. ``scripts/bench`` prepares it."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks import machine, programs, report
from benchmarks.containers import EngineFailed
from benchmarks.contest import Contest
from benchmarks.measures import MEASURES, Measure
from benchmarks.measures.against import against
from benchmarks.peers import rie

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rows import Row

CACHE = Path(os.environ.get("SCF_CACHE_DIR") or Path.home() / ".cache" / "scf-sandbox") / "bench"
RESULTS = Path(__file__).with_name("RESULTS.md")
#: The results of short and partial runs. Not in git.
LOCAL = machine.ROOT / ".cache" / "bench"

#: A measure is given up after this many times its budget.
GIVE_UP = 2.0


def parse() -> argparse.Namespace:
    names = [measure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure the sandbox.")
    parser.add_argument("--short", action="store_true", help="the main ratios, in two minutes")
    parser.add_argument("--only", action="append", choices=names, help="may be given again")
    parser.add_argument("--rounds", type=int, help="of each measure (5; short: 3)")
    parser.add_argument("--seconds", type=int, help="of load per round and contestant (3; short 1)")
    parser.add_argument("--against", metavar="REVISION", help="beside an earlier commit, alone")
    return parser.parse_args()


def chosen_of(options: argparse.Namespace) -> list[Measure]:
    if revision := options.against:
        title = f"Warm invoke beside {revision}"
        return [Measure("against", title, against(revision), budget_s=240)]
    chosen = [m for m in MEASURES if m.name in (options.only or [m.name])]
    if options.short and not options.only:
        chosen = [m for m in chosen if m.short]
    return chosen


def main() -> int:
    options = parse()
    rounds = options.rounds or (3 if options.short else 5)
    seconds = options.seconds or (1 if options.short else 3)
    chosen = chosen_of(options)
    full = not (options.short or options.only or options.against) and rounds >= 5
    signal.signal(signal.SIGTERM, _terminated)
    with contest_of(rounds, seconds, options.short) as contest:
        results: dict[str, list[Row] | str] = {}
        for measure in chosen:
            results[measure.title] = run(contest, measure)
        facts = machine.facts(
            {"AWS Lambda RIE, SAM": f"those of aws-sam-cli {contest.rie.version}"}
        )
        how = f"{rounds} rounds, {seconds} s of load per round and contestant."
        page = report.page(facts, results, how)
    target = RESULTS if full else LOCAL / "RESULTS.md"
    report.write_raw(LOCAL / "results.json", facts, results)
    target.write_text(page)
    print(f"written: {target}, {LOCAL / 'results.json'}")
    rows = [row for found in results.values() if not isinstance(found, str) for row in found]
    missed = sum(row.reached is False for row in rows)
    failed = sum(isinstance(found, str) for found in results.values())
    reached = sum(row.reached is True for row in rows)
    print(f"goals: {reached} reached, {missed} missed; measures failed: {failed}")
    return 1 if failed else 0


def run(contest: Contest, measure: Measure) -> list[Row] | str:
    """The rows of a measure, or the reason for none. A failure does not stop the other measures."""
    print(f"{measure.title} ({measure.name}) ...", flush=True)
    machine.calm()
    began = time.monotonic()
    contest.deadline = began + measure.budget_s
    try:
        with alarm(measure.budget_s * GIVE_UP):
            rows = measure.run(contest)
    except Exception as error:  # a task's boundary
        LOCAL.mkdir(parents=True, exist_ok=True)
        with (LOCAL / "errors.log").open("a") as log:
            traceback.print_exc(file=log)
        print(f"  not measured: {error!r} (more in {LOCAL / 'errors.log'})")
        return f"{type(error).__name__}: {error}"
    finally:
        contest.deadline = float("inf")
    print(report.summary(rows))
    print(f"    {time.monotonic() - began:.0f} s", flush=True)
    return rows


@contextmanager
def contest_of(rounds: int, seconds: int, short: bool) -> Iterator[Contest]:
    """Build what the measures need. Remove everything at the end, also after an error."""
    CACHE.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="scf-bench-"))
    directory.chmod(0o755)  # bootstraps in it run as another user
    try:
        code = programs.build(directory / "code")
        contest = Contest(directory, CACHE, code, rie.fetch(CACHE), rounds, seconds, short)
        try:
            yield contest
        finally:
            try:
                contest.sweep()
            except EngineFailed as error:
                print(f"not removed, if still there: {contest.labels}: {error}", file=sys.stderr)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """``TimeoutError`` in the main thread when the block takes longer."""

    def ring(_number: int, _frame: object) -> NoReturn:
        raise TimeoutError(f"given up after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; everything that was started is removed", file=sys.stderr)
        sys.exit(130)
