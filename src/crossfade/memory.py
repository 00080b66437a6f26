"""Memory that is used again.

A batch of 128 pictures of 224 x 224 pixels is 77 MB as float32. Asked from the system anew for every batch, it is
cleared page by page first, which takes several times longer than filling it. `Buffers` keeps what our own batches
need; `keep_freed_memory` does the same for all that a training asks for.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

WORTH_KEEPING = 1 << 20  # bytes; smaller arrays cost nothing
MOST_KEPT = 1 << 29  # bytes that wait for their next use
ALLOCATION = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
ALIGNMENT = 64  # bytes, a line of the cache: `crossfade.arrays.vectors` stores whole lines


class Buffers:
    """Gives out arrays; their memory comes back by itself when nobody holds them, or any view of them, any more."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}
        self._waiting = 0
        self._lock = threading.RLock()  # a collection may run, and give back, while this thread holds it

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of that shape with anything in it."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if size < WORTH_KEEPING:
            return np.empty(shape, dtype)
        lease = _Lease(self._take(size))
        weakref.finalize(lease, self._give_back, lease.memory).atexit = False
        return np.asarray(lease).view(dtype).reshape(shape)

    def _take(self, size: int) -> NDArray[np.uint8]:
        with self._lock:
            free = self._free.get(size)
            if free:
                self._waiting -= size
                return free.pop()
        memory = np.empty(size + ALIGNMENT, np.uint8)
        first = -memory.ctypes.data % ALIGNMENT
        return memory[first : first + size]

    def _give_back(self, memory: NDArray[np.uint8]) -> None:
        with self._lock:
            if self._waiting + memory.size > MOST_KEPT:
                self.clear()
            if memory.size <= MOST_KEPT:
                self._free.setdefault(memory.size, []).append(memory)
                self._waiting += memory.size

    def clear(self) -> None:
        """Let go of all memory that waits for its next use."""
        with self._lock:
            self._free.clear()
            self._waiting = 0

    def renew_lock(self) -> None:
        """After a fork: the lock may have been held by a thread that does not exist here."""
        self._lock = threading.RLock()


class _Lease:
    """What every view of a lent array holds on to. A view of a plain array would hold the memory itself instead."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__


buffers = Buffers()
"""Those of this process; ``buffers.clear()`` lets go of what they keep, half a gigabyte at the most."""


def keep_freed_memory() -> bool:
    """Have the C library keep the memory that is freed for its next use: for a process that is ours alone.

    glibc gives large blocks back to the system at once. A training asks for the same ones in every step, and has them
    cleared anew: a third of a step's time at worst. Kept are all blocks of the main thread, and those below 64 MB of
    other threads, until the process ends.

    Returns:
        Whether the C library agreed. It is not asked where it is not glibc, or where one of `ALLOCATION` already
        says how memory is to be kept.

    Source:
        mallopt(3): M_TRIM_THRESHOLD of -1 disables trimming, M_MMAP_MAX of 0 disables blocks of their own.
    """
    trim_threshold, mmap_max = -1, -4
    if sys.platform != "linux" or any(map(os.environ.get, ALLOCATION)):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(trim_threshold, -1) and library.mallopt(mmap_max, 0))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=buffers.renew_lock)
