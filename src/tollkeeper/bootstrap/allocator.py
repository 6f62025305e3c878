"""How much freed memory a process keeps for itself, where the C library lets it choose."""

from __future__ import annotations

import ctypes
from typing import Final

# From glibc's malloc.h. Others either have no such choice or do not need it.
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_M_MMAP_THRESHOLD: Final = -3

_KEPT_BYTES: Final = 16 << 20
_STEP_BYTES: Final = 1 << 20
_LARGE_BYTES: Final = 1 << 20


def keep_freed_memory() -> bool:
    """Keep a little memory that was freed, instead of giving it back at once.

    glibc gives memory back as soon as 128 KB at the end of its heap are free, and takes it
    again for the next request: with bodies of some KB that is a page fault every 4 KB, which
    cost a 100 KB request more than all the rest of it. What is larger than a megabyte still
    goes back at once. Tells whether there was something to choose.
    """
    try:
        choose = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        [
            choose(_M_TRIM_THRESHOLD, _KEPT_BYTES) == 1,
            choose(_M_TOP_PAD, _STEP_BYTES) == 1,
            choose(_M_MMAP_THRESHOLD, _LARGE_BYTES) == 1,
        ]
    )
