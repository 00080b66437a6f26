"""Pictures that are decoded each time they are needed, for data sets whose cache would take too much room.

To whoever takes rows of it, it is the array a cache would hold: the same pixels, in the same order.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.data._crew import processors
from crossfade.data._reading import DIGEST_BYTES
from crossfade.data.decode import decode
from crossfade.data.files import read_below
from crossfade.data.fit import Fit, Size, sides, to_row
from crossfade.data.refusal import MAX_PIXELS, RefusedPicture
from crossfade.data.rows import Pixels
from crossfade.data.scan import Index
from crossfade.errors import DataError

_AT_A_TIME = 8


class Decoded:
    """(N, height, width, channels) uint8, never in memory as a whole.

    Each file is hashed as it is read: one that is not what it was when the folder was scanned is an error, and never
    another picture's label.

    Args:
        index: of N pictures.
        size: side of a square in pixels, or (height, width).
        channels: 1 or 3.
        fit: as for `prepare`.
        max_pixels: as for `scan`.
        workers: threads that decode; None takes the processors this process may use.
    """

    def __init__(
        self,
        index: Index,
        size: Size,
        channels: int,
        fit: Fit = "stretch",
        *,
        max_pixels: int = MAX_PIXELS,
        workers: int | None = None,
    ) -> None:
        self.index, self.fit, self.max_pixels = index, fit, max_pixels
        self.shape = (len(index), *sides(size), channels)
        self.dtype = np.dtype(np.uint8)
        self.workers = processors() if workers is None else max(1, workers)
        self._root = os.path.join(str(index.root), "")
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What an array of all pictures would take."""
        return int(np.prod(self.shape))

    def take(self, ids: ArrayLike, axis: int = 0, out: Pixels | None = None, mode: Any = "raise") -> Pixels:
        """Rows, as `numpy.ndarray.take` gives them; whatever the mode, ids must be 0 to N - 1.

        Raises:
            DataError: a file is no longer there, or holds other bytes than when it was scanned.
        """
        numbers = np.asarray(ids, np.int64)
        if axis != 0 or numbers.ndim != 1:
            raise IndexError("Decoded.take: only whole pictures can be taken, by a list of their numbers.")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"Decoded.take: ids must be 0 to {len(self) - 1}. Got {numbers.min()} to {numbers.max()}.")
        rows = np.empty((len(numbers), *self.shape[1:]), np.uint8) if out is None else out
        starts = range(0, len(numbers), _AT_A_TIME)
        list(self._threads().map(lambda first: self._fill(rows, numbers, first), starts))  # raises what they raised
        return rows

    def __getitem__(self, which: Any) -> Pixels:
        """One picture by its number, or several by a slice or a list of numbers."""
        if isinstance(which, int | np.integer):
            return self.take([int(which)])[0]
        return self.take(np.arange(len(self))[which])

    def __getstate__(self) -> dict[str, Any]:
        """Another process has threads of its own."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_pool", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _pool=None, _lock=threading.Lock())

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="crossfade-decode")
            return self._pool

    def _fill(self, rows: Pixels, numbers: NDArray[np.int64], first: int) -> None:
        for row in range(first, min(first + _AT_A_TIME, len(numbers))):
            rows[row] = self._picture(int(numbers[row]))

    def _picture(self, number: int) -> Pixels:
        path = self.index.paths[number]
        _, height, width, channels = self.shape
        try:
            data = read_below(self._root, path)
            if blake2b(data, digest_size=DIGEST_BYTES).digest() != self.index.digests[number].tobytes():
                raise _changed(path, "other bytes than when the folder was scanned")
            return to_row(decode(data, max_pixels=self.max_pixels), (height, width), channels, self.fit)
        except RefusedPicture as refusal:
            raise _changed(path, refusal.detail) from refusal


def _changed(path: str, what: str) -> DataError:
    return DataError(
        f"decode: a picture must stay as it was when the folder was scanned. Got {what} for {path!r}. "
        "Run again when the folder is at rest."
    )
