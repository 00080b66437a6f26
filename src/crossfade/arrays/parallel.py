"""Sharing a batch between threads, for kernels that release the GIL.

The threads are ours and plain, so that a forked DataLoader worker or a second thread that mixes at the same time
meets no pool it may not use. Results never depend on how many there are: every sample is made by one thread.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_BYTES_WORTH_A_THREAD = 1 << 20
_MOST_THREADS = 16

_threads: int | None = None
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def set_threads(threads: int | None) -> None:
    """How many threads one batch may use; None: one per core, and one in a worker process."""
    global _threads
    _threads = threads


def get_threads() -> int:
    """How many threads one batch may use here and now."""
    if _threads is not None:
        return max(1, _threads)
    if multiprocessing.parent_process() is not None:
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _MOST_THREADS)


def share(work: Callable[[int, int], object], samples: int, size: int) -> None:
    """Call ``work(start, stop)`` on shares that cover ``0..samples``, in parallel where `size` bytes are worth it."""
    threads = min(get_threads(), samples, size // _BYTES_WORTH_A_THREAD)
    if threads <= 1:
        work(0, samples)
        return
    bounds = [samples * n // threads for n in range(threads + 1)]
    pool = _pool(threads - 1)
    others = [pool.submit(work, *bounds[n : n + 2]) for n in range(1, threads)]
    work(bounds[0], bounds[1])
    for other in others:
        other.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    """A pool of this very process: after a fork the parent's threads do not exist."""
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="crossfade")
    return _pools[key]
