"""Keeping freed memory."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from api.process.malloc import keep_freed_memory
kept = keep_freed_memory()
for _ in range(3):
    bytearray(b"x") * 6_000_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(b"x") * 6_000_000
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults)
"""


def test_memory_that_was_used_once_is_used_again_without_the_systems_help() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    if kept == "True":  # with the GNU C library
        assert int(faults) < 1500  # else 20 times as many, one for each 4 KB
