"""Memory that is used again.

A batch of 128 pictures of 224 x 224 pixels is 77 MB as float32. Asked from the system anew for every batch, it is
cleared page by page first, which takes longer than filling it.
"""

from __future__ import annotations

import threading
import weakref
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_KEPT = 16


class Buffers:
    """Gives out arrays; their memory comes back by itself when nobody holds them, or any view of them, any more."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array of that shape with anything in it."""
        size = prod(shape) * np.dtype(dtype).itemsize
        with self._lock:
            free = self._free.get(size)
            memory = free.pop() if free else None
        lease = _Lease(np.empty(size, np.uint8) if memory is None else memory)
        weakref.finalize(lease, self._give_back, lease.memory).atexit = False
        return np.asarray(lease).view(dtype).reshape(shape)

    def _give_back(self, memory: NDArray[np.uint8]) -> None:
        with self._lock:
            free = self._free.setdefault(memory.size, [])
            if len(free) < _KEPT:
                free.append(memory)


class _Lease:
    """What every view of a lent array holds on to. A view of a plain array would hold the memory itself instead."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__
