"""Keeping freed memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

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


FREED_BELOW_SMALL_ONES = """
import asyncio, time
from api.process import malloc
malloc.keep_freed_memory()
malloc.CHECK_S = 0.01
malloc.BUSY_PART = -1  # whatever it uses of a processor, it has work

async def main():
    giving = asyncio.ensure_future(malloc.give_back_freed_memory())
    await asyncio.sleep(0)
    before = malloc.resident_bytes()
    large, small = [], []
    for _ in range(30):
        large.append(bytearray(b"x") * 6_000_000)
        small.append(bytes(2000))
    del large
    for _ in range(10):
        await asyncio.sleep(malloc.CHECK_S)
    kept = malloc.resident_bytes()
    malloc.BUSY_PART = 2
    deadline = time.monotonic() + 20
    while malloc.resident_bytes() > before + 32e6 and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    giving.cancel()
    print(kept - before > 100e6, malloc.resident_bytes() - before < 32e6)

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is asked")
def test_memory_is_given_back_when_the_work_has_ended_and_not_before() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED_BELOW_SMALL_ONES], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]
