"""Memory that a command keeps."""

import contextlib
import ctypes

# Parameters of glibc's mallopt(3), by their numbers in malloc.h, for `keep_freed_memory`.
ONE_ARENA = (-8, 1)  # M_ARENA_MAX: others than the first cannot hold large arrays
FROM_THE_HEAP = (-4, 0)  # M_MMAP_MAX: arrays that are mapped by themselves
NEVER_TRIMMED = (-1, 2**31 - 1)  # M_TRIM_THRESHOLD: free bytes at the end of the heap that are given back


def keep_freed_memory() -> None:
    """Lets the process keep the memory of arrays that are freed, for the next ones; on Linux with glibc alone.

    On a CPU every call of a compiled program allocates its large arrays anew, and the system fills new pages with
    zeros: a tenth of the time of an explanation. What a process holds is then the most that it ever needed. Call it
    before JAX computes for the first time, as each of its threads keeps the arena that it began with; it may have been
    imported before. Only for a process that is the command's own.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library, which has no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (ONE_ARENA, FROM_THE_HEAP, NEVER_TRIMMED):
            mallopt(parameter, value)
