"""What the C library does with memory that MLX frees on a Linux CPU, where MLX keeps none itself.

By default glibc hands a large array back to the system at once, and each page of the next one is faulted in anew; and
each thread that computes has a heap of its own. One heap, of which some is kept, took most page faults away and a
third to half of the time of attention (2 cores).

No array is mapped by itself: of those above 32 MB, which glibc would map anew each time, a long prompt has many.
"""

import ctypes
import platform
import sys
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # as malloc.h numbers them
_KEPT = 128 << 20  # bytes at the heap's end that are not given back
_SPARE = 32 << 20  # bytes beyond them, before anything is
_READY = 512 << 20  # bytes that are touched beforehand and kept, at most
_PIECE = 16 << 20


@cache
def _glibc() -> ctypes.CDLL | None:
    here = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    return ctypes.CDLL(None) if here else None


def keep_freed_memory() -> None:
    """Heard before the first thread of the process takes memory; later each thread has a heap of its own."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_MMAP_MAX, 0)
        _keep(libc, _KEPT)


def touch_memory(most: int) -> None:
    """So many bytes at most, which then stay with the process. Takes 0.1 s, or ten times that where the machine is
    virtual; others may run meanwhile.
    """
    if (libc := _glibc()) is not None:
        ready = min(_READY, most)
        _keep(libc, max(_KEPT, ready))
        libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        taken = [libc.malloc(ctypes.c_size_t(_PIECE)) for _ in range(ready // _PIECE)]
        for place in filter(None, taken):
            ctypes.memset(place, 0, _PIECE)
            libc.free(place)


def give_back_memory() -> None:
    """All that is free, wherever on the heap it lies: after much was freed, for which nothing of its size comes."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _keep(libc: ctypes.CDLL, kept: int) -> None:
    """Without the pad, all that is free at the end would be given back at once, not what is too much."""
    libc.mallopt(_TOP_PAD, kept)
    libc.mallopt(_TRIM_THRESHOLD, kept + _SPARE)
