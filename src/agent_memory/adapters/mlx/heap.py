"""What the C library does with memory that MLX frees on a Linux CPU, where MLX keeps none itself.

By default glibc hands a large array back to the system at once, and each page of the next one is faulted in anew; and
each thread that computes has a heap of its own. One heap, of which some is kept, took most page faults away and a
third to half of the time of attention (2 cores).
"""

import ctypes
import platform
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as malloc.h numbers them
_LARGEST = 32 << 20  # bytes of an array on the heap: glibc takes no more
_READY = 128 << 20  # bytes that are touched beforehand
_KEPT = _READY + _LARGEST  # bytes at the heap's end


@cache
def _glibc() -> ctypes.CDLL | None:
    here = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
    return ctypes.CDLL(None) if here else None


def keep_freed_memory() -> None:
    """Must run before the first thread that computes is started."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)


def touch_memory() -> None:
    """Takes 50 ms, or several times that where the machine is virtual; others may run meanwhile."""
    if (libc := _glibc()) is not None:
        libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        half = _LARGEST // 2
        taken = [libc.malloc(ctypes.c_size_t(half)) for _ in range(_READY // half)]
        for place in filter(None, taken):
            ctypes.memset(place, 0, half)
            libc.free(place)


def give_back_memory() -> None:
    """All that is free, wherever on the heap it lies: after much was freed, for which nothing of its size comes."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)
