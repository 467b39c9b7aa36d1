"""``python -m tests.fuzz.one TARGET SECONDS SEED DIRECTORY``: one target in a process of its own.

Guided by the coverage of our own code (atheris, libFuzzer). ``init`` is a program of its own and is
given random inputs. An input that fails is kept in DIRECTORY. The last line of stdout is
``inputs=N``.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from pathlib import Path

import structlog

from tests.fuzz.targets import BY_NAME

#: An input that takes longer is a hang, seconds.
HANG_S = 1
MEMORY_MB = 384
NOT_GUIDED = frozenset({"init"})


def guided(name: str, seconds: int, seed: int, directory: Path) -> None:
    """libFuzzer ends the process. Its statistics are on stderr."""
    import atheris

    with atheris.instrument_imports(include=["api", "sandbox", "scf_sandbox"]):
        take = BY_NAME[name].make()
    corpus = directory / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "timeout": HANG_S,
        "rss_limit_mb": MEMORY_MB,
        "max_len": BY_NAME[name].longest,
        "print_final_stats": 1,
        "verbosity": 1,
        "artifact_prefix": f"{directory}/{name}-",
    }
    atheris.Setup([sys.argv[0], *(f"-{k}={v}" for k, v in options.items()), str(corpus)], take)
    atheris.Fuzz()


def random_inputs(name: str, seconds: int, seed: int, directory: Path) -> int:
    """How many inputs were taken. An exception ends it."""
    take, chance = BY_NAME[name].make(), random.Random(seed)
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = chance.randbytes(chance.randrange(BY_NAME[name].longest))
        began = time.monotonic()
        try:
            take(data)
        except Exception:
            (directory / f"{name}-failed").write_bytes(data)
            raise
        assert time.monotonic() - began < 10 * HANG_S, "it hangs"
        count += 1
    return count


def main() -> None:
    name, seconds, seed, directory = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    os.chdir(directory)
    if name in NOT_GUIDED:
        print(f"inputs={random_inputs(name, int(seconds), int(seed), Path(directory))}")
    else:
        guided(name, int(seconds), int(seed), Path(directory))


if __name__ == "__main__":
    main()
