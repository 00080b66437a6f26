"""Batches made ready while the model trains, in threads or processes of our own.

Keras' queue cannot be used: see `_asking`. Here a batch is asked for by (epoch, step), so that what was made for one
epoch is never shown in another, and how many workers there are changes nothing but the speed.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_start_method
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from crossfade.data.loader import AHEAD
from crossfade.errors import TrainingError
from crossfade.keras._source import Example, Source


class Ahead:
    """Hands out the batches of a source and makes those that come next.

    Args:
        source: makes a batch.
        workers: threads or processes, at least 1.
        processes: whether they are processes.
        most: batches that wait at a time.
    """

    def __init__(self, source: Source, workers: int, processes: bool, most: int) -> None:
        self._source, self._workers, self._processes = source, workers, processes
        self._depth = max(1, min(most, AHEAD * workers))
        self._waiting: dict[tuple[int, int], Future[Example]] = {}
        self._lock = Lock()
        self._pool: Executor | None = None
        self._folder: TemporaryDirectory[str] | None = None

    def take(self, epoch: int, step: int) -> Example:
        """Batch `step` of an epoch; the next of that epoch are on their way when this returns."""
        with self._lock:
            wanted = [(epoch, later) for later in range(step, min(step + 1 + self._depth, len(self._source)))]
            for key in self._waiting.keys() - set(wanted):
                self._waiting.pop(key).cancel()
            pool = self._running()
            for key in wanted:
                if key not in self._waiting:
                    self._waiting[key] = self._submit(pool, *key)
            mine = self._waiting.pop((epoch, step))
        try:
            return mine.result()
        except BrokenProcessPool as error:
            self._pool = None
            raise TrainingError(
                "use_multiprocessing: a process that makes batches died. It may have been killed for want of memory. "
                "Pass fewer workers, or use_multiprocessing=False."
            ) from error

    def _submit(self, pool: Executor, epoch: int, step: int) -> Future[Example]:
        if self._processes:
            return pool.submit(_make, epoch, step)
        return pool.submit(self._source.make, epoch, step)

    def _running(self) -> Executor:
        if self._pool is None:
            if self._processes:
                self._source.make(0, 0)  # what fails fails here; and a fork finds kernels that are compiled
                self._pool = ProcessPoolExecutor(self._workers, initializer=_adopt, initargs=(self._to_send(),))
            else:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="crossfade-keras")
        return self._pool

    def _to_send(self) -> Source:
        """The source, small enough to be sent to each process; a fork needs nothing sent."""
        if get_start_method() == "fork" or not self._source.is_in_memory:
            return self._source
        self._folder = TemporaryDirectory(prefix="crossfade-")
        return self._source.in_file(Path(self._folder.name) / "pictures.npy")


_adopted: list[Source] = []
"""In a process that makes batches: what it makes them of."""


def _adopt(source: Source) -> None:
    _adopted[:] = [source]


def _make(epoch: int, step: int) -> Example:
    return _adopted[0].make(epoch, step)
