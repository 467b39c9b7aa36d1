"""Memory that was freed is kept for a while, instead of being given back at once."""

from __future__ import annotations

import ctypes

#: ``mallopt`` of the GNU C library: up to so much of free memory is kept at the end of the heap,
#: and so large a block comes out of the heap rather than from the system. Bytes.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 64 * 1024 * 1024
M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES = -3, 32 * 1024 * 1024


def keep_freed_memory() -> bool:
    """For events of megabytes: memory fresh from the system costs more to touch than to copy into,
    and each passes through half a dozen buffers. False where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    trimmed = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(trimmed and mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES))
