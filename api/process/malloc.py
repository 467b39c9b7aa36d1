"""Keeps freed memory during work, and gives it back to the system after the work."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from sandbox.limits import MIB

#: Values for ``mallopt`` of the GNU C library, bytes: how much free memory is kept at the end of
#: the heap, and up to what size a block comes from the heap.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 64 * MIB
M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES = -3, 32 * MIB

#: How often the process checks whether it can give memory back. Seconds.
CHECK_S = 5.0
#: A process that used a smaller part of a processor since the last check has no work.
BUSY_PART = 0.1
#: Less growth than this since the last time is not given back.
SPARE_BYTES = 16 * MIB

STATM = Path("/proc/self/statm")


def keep_freed_memory() -> bool:
    """Keep freed memory, for events of megabytes. New memory takes longer to touch than to copy
    into, and such an event passes through about six buffers. False if the C library is not
    GNU's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    trimmed = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(trimmed and mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES))


async def give_back_freed_memory() -> None:
    """Give memory back each time the work of the process has ended. Runs for ever.

    By itself the C library gives back only the end of the heap. After many large events a small
    block lies there, and hundreds of free megabytes below it stay. On request the library gives all
    free pages back. Returns at once if the C library is not GNU's.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
        least = resident_bytes()
    except (OSError, AttributeError, TypeError):
        return
    worked = time.process_time()
    while True:
        await asyncio.sleep(CHECK_S)
        before, worked = worked, time.process_time()
        if worked - before > BUSY_PART * CHECK_S:
            continue
        if resident_bytes() > least + SPARE_BYTES:
            trim(0)
            least = resident_bytes()
        else:
            least = min(least, resident_bytes())


def resident_bytes() -> int:
    """The resident memory of the process, bytes."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
