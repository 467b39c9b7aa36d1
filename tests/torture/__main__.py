"""``scripts/torture`` prepares this. Runs the parts, one after the other, and counts."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture import engines, sandbox
from tests.torture.ground import Counts, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    Part = Callable[[Plan, Counts], None]

PARTS: dict[str, Part] = {
    "kills": sandbox.kills,
    "instances": engines.instances,
    "engine": engines.engine,
    "disk": sandbox.disk,
    "database": sandbox.database,
    "postgresql": sandbox.postgres,
    "signals": sandbox.signals,
    "two": engines.two,
}
COLUMNS = ("requests", "lost", "hung", "leaked", "wrong")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("--short", action="store_true", help="three minutes, as in CI")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="may be given again")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    return parser.parse_args()


def main() -> int:
    options = parse()
    seed = options.seed or random.SystemRandom().randrange(1, 2**31)
    chosen = [name for name in PARTS if name in (options.only or PARTS)]
    directory = Path(tempfile.mkdtemp(prefix="scf-torture-"))
    print(f"{len(chosen)} parts, seed {seed}, logs in {directory}", flush=True)
    print(f"{'part':<12}{''.join(f'{column:>10}' for column in COLUMNS)}{'seconds':>10}")
    bad = 0
    for name in chosen:
        began, counts = time.monotonic(), Counts()
        (directory / name).mkdir()
        try:
            PARTS[name](Plan(options.short, directory / name, seed), counts)
        except Exception:  # the boundary of a part: the others go on
            counts.count("wrong", traceback.format_exc())
        figures = "".join(f"{getattr(counts, column):>10,}" for column in COLUMNS)
        print(f"{name:<12}{figures}{time.monotonic() - began:>10.0f}", flush=True)
        for told in counts.told:
            print(f"    {told}")
        bad += counts.bad
    if not bad:
        shutil.rmtree(directory)
    print("nothing lost, hung, leaked or wrong" if not bad else f"{bad} bad; logs: {directory}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
