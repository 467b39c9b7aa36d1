"""Memory that was freed is kept while there is work, and given back when there is none."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path

from sandbox.limits import MIB

#: ``mallopt`` of the GNU C library: up to so much of free memory is kept at the end of the heap,
#: and so large a block comes out of the heap rather than from the system. Bytes.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 64 * MIB
M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES = -3, 32 * MIB

#: How often it is looked at whether there is something to give back, in seconds.
CHECK_S = 5.0
#: A process that has used a smaller part of a processor since the last look has no work.
BUSY_PART = 0.1
#: So little above what it had after the last time is left alone.
SPARE_BYTES = 16 * MIB

STATM = Path("/proc/self/statm")


def keep_freed_memory() -> bool:
    """For events of megabytes: memory fresh from the system costs more to touch than to copy into,
    and each passes through half a dozen buffers. False where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    trimmed = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(trimmed and mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES))


async def give_back_freed_memory() -> None:
    """Give back, whenever the work of the process has ended, what it had for it; for ever.

    The C library gives back what is free at the end of the heap. After a storm of large events
    something small lies there, and hundreds of megabytes below it are free and stay. Asked for it,
    the library gives all free pages back. Returns at once where it is another one.
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
    """What the process has in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
