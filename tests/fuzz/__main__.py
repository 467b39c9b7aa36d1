"""``scripts/fuzz`` prepares this. Runs the targets, one after the other, and counts."""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.rest_document import rest_document
from tests.fuzz.targets import BY_NAME

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = "openapi"
NAMES = [*BY_NAME, SCHEMATHESIS]
#: A process may take so much longer than its time, to begin and to end. Seconds.
MORE_S = 90


@dataclass(frozen=True)
class Outcome:
    """``failure`` is empty where all went well."""

    name: str
    inputs: int
    seconds: float
    failure: str = ""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together (600)")
    parser.add_argument("--only", action="append", choices=NAMES, help="may be given again")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    parser.add_argument("--keep", type=Path, help="where inputs that fail are kept")
    return parser.parse_args()


def main() -> int:
    options = parse()
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    directory = options.keep or Path(tempfile.mkdtemp(prefix="scf-fuzz-"))
    directory.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in NAMES if name in (options.only or NAMES)]
    each = max(1, options.seconds // len(chosen))
    print(f"{len(chosen)} targets, {each} s each, seed {seed}; what fails is kept in {directory}")
    outcomes = [run(name, each, seed, directory.absolute()) for name in chosen]
    print(table(outcomes))
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def run(name: str, seconds: int, seed: int, directory: Path) -> Outcome:
    began = time.monotonic()
    if name == SCHEMATHESIS:
        count, failure = rest_document(seconds, seed, directory)
    else:
        count, failure = in_a_process(name, seconds, seed, directory)
    outcome = Outcome(name, count, time.monotonic() - began, failure)
    print(f"  {name}: {outcome.inputs:,} inputs, {failure or 'nothing found'}", flush=True)
    return outcome


def in_a_process(name: str, seconds: int, seed: int, directory: Path) -> tuple[int, str]:
    log = directory / f"{name}.log"
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.one",
        name,
        f"{seconds}",
        f"{seed}",
        f"{directory}",
    ]
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                timeout=seconds + MORE_S,
            )
        except subprocess.TimeoutExpired:
            return counted(log), f"it did not end; see {log}"
    if done.returncode:
        return counted(log), f"exit code {done.returncode}; see {log}"
    return counted(log), ""


def counted(log: Path) -> int:
    text = log.read_text(errors="replace")
    found = re.findall(r"(?:inputs=|number_of_executed_units: )(\d+)", text)
    found = found or re.findall(r"^#(\d+)", text, re.MULTILINE)
    return int(found[-1]) if found else 0


def table(outcomes: list[Outcome]) -> str:
    lines = ["", f"{'target':<12} {'inputs':>12} {'a second':>10}  found"]
    for each in (*outcomes, total(outcomes)):
        rate = each.inputs / each.seconds if each.seconds else 0
        lines.append(f"{each.name:<12} {each.inputs:>12,} {rate:>10,.0f}  {each.failure or '-'}")
    return "\n".join(lines)


def total(outcomes: list[Outcome]) -> Outcome:
    failed = sum(bool(each.failure) for each in outcomes)
    return Outcome(
        "all",
        sum(each.inputs for each in outcomes),
        sum(each.seconds for each in outcomes),
        f"{failed} targets failed" if failed else "",
    )


if __name__ == "__main__":
    sys.exit(main())
