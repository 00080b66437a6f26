"""Batches of the cached pictures, in an order that chance fixes once per epoch.

The order of epoch e is a function of (seed, e) alone, and batch i of an epoch is a function of that order:
threads only make batches ready ahead of time, so their number changes nothing but the speed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.data.classes import balanced_sample
from crossfade.data.rows import Rows
from crossfade.errors import ConfigError
from crossfade.memory import buffers
from crossfade.rng import Stream, derive_rng

AHEAD = 2


@dataclass(frozen=True)
class Batch:
    """B pictures on their way to the model.

    Attributes:
        images: (B, H, W, C) uint8, a copy of its own.
        labels: (B,) int64, indices of classes; or (B, C), where the loader was given such.
        ids: (B,) int64, numbers of the pictures in the index; a picture's own chance is derived from its id.
        epoch: counts from 0 or 1, as the caller of `Loader.epoch` does.
        step: number of the batch in its epoch, from 0.
    """

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    ids: NDArray[np.int64]
    epoch: int
    step: int


T = TypeVar("T")
Gather = Callable[[Rows, NDArray[np.int64], int], NDArray[np.uint8]]


def gather_rows(pixels: Rows, ids: NDArray[np.int64], epoch: int) -> NDArray[np.uint8]:
    """(B, H, W, C): a copy of the rows `ids`."""
    images = buffers.empty((len(ids), *pixels.shape[1:]), np.uint8)
    pixels.take(ids, axis=0, out=images, mode="clip")  # mode "raise" would copy once more
    return images


class Loader(Generic[T]):
    """Yields the pictures `ids` in batches, epoch after epoch.

    Args:
        pixels: (N, H, W, C) uint8: an array, or what a `Cache` holds.
        labels: (N,) ints, or (N, C) soft ones, which only `balanced` cannot count.
        ids: (n,) ints, which of the N pictures to yield.
        batch_size: pictures per batch.
        seed: of the order; >= 0.
        shuffle: False keeps the order of `ids`.
        balanced: each epoch shows all classes equally often, some pictures several times and others not at all;
            an epoch is as long as before.
        drop_last: leave out a last batch that is not full.
        gather: called as ``gather(pixels, ids, epoch)`` for the images of a batch, in one of the threads: it may
            augment them while it copies them. None copies.
        copies: each batch holds its pictures so many times; it is `gather` that makes them differ.
        prepare: called with each `Batch`, in one of the threads; what it returns is what comes out. Both must
            be functions of what they are given, or results will depend on the threads.
        threads: make this many batches ready at a time; 0 works in the caller's thread.

    Raises:
        ConfigError: a batch size or number of threads that makes no sense, or no picture at all.
    """

    def __init__(
        self,
        pixels: Rows,
        labels: ArrayLike,
        ids: ArrayLike,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        balanced: bool = False,
        drop_last: bool = False,
        gather: Gather | None = None,
        copies: int = 1,
        prepare: Callable[[Batch], T] | None = None,
        threads: int = 1,
    ) -> None:
        self.pixels: Rows = np.asarray(pixels) if isinstance(pixels, np.ndarray) else pixels
        self.labels = np.asarray(labels) if np.ndim(labels) == 2 else np.asarray(labels, np.int64)
        self.ids = np.asarray(ids, np.int64)
        self.batch_size, self.seed, self.threads = batch_size, seed, threads
        self.shuffle, self.balanced, self.drop_last = shuffle, balanced, drop_last
        self.gather, self.copies, self.prepare = gather or gather_rows, copies, prepare
        self._kept: tuple[int, NDArray[np.int64]] | None = None
        self._check()

    def _check(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"Loader: batch_size must be at least 1. Got {self.batch_size}. Pass 128, say.")
        if self.threads < 0:
            raise ConfigError(f"Loader: threads must be at least 0. Got {self.threads}. Pass threads=1, say.")
        if not len(self):
            raise ConfigError(
                f"Loader: an epoch needs at least one batch. Got {len(self.ids)} pictures, "
                f"batch_size={self.batch_size}, drop_last={self.drop_last}. Pass a smaller batch_size."
            )
        if len(self.labels) != len(self.pixels) or self.ids.min() < 0 or self.ids.max() >= len(self.pixels):
            raise ConfigError(
                f"Loader: labels and ids must belong to the pictures. Got {len(self.pixels)} pictures, "
                f"{len(self.labels)} labels, ids {self.ids.min()} to {self.ids.max()}. "
                "Pass the labels of the whole index, and ids that are numbers in it."
            )
        if self.balanced and not self.shuffle:
            raise ConfigError("Loader: balanced draws an order. Got balanced=True, shuffle=False. Leave one out.")

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.ids), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The ids in the order of an epoch: a function of (seed, epoch)."""
        if not self.shuffle:
            return self.ids
        rng = derive_rng(self.seed, Stream.ORDER, epoch)
        if self.balanced:
            return rng.permutation(balanced_sample(self.ids, self.labels[self.ids], rng))
        return rng.permutation(self.ids)

    def ids_at(self, order: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        """The ids of the pictures in batch `step` of an epoch in that order."""
        return np.tile(order[step * self.batch_size : (step + 1) * self.batch_size], self.copies)

    def batch_ids(self, epoch: int, step: int) -> NDArray[np.int64]:
        """The ids of the pictures in batch `step` of an epoch."""
        return self.ids_at(self._last_order(epoch), step)

    def batch(self, epoch: int, step: int) -> T:
        """Batch `step` of an epoch, made in the caller's thread: the one that `epoch` yields there.

        Raises:
            IndexError: there is no such step.
        """
        if not 0 <= step < len(self):
            raise IndexError(f"Loader: a step is 0 to {len(self) - 1}. Got {step}.")
        return self._make(self._last_order(epoch), epoch, step)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[T]:
        """The prepared batches of an epoch, in order; from step `start` on.

        An exception in a thread is raised here. Leaving the loop early stops the threads.
        """
        order = self.order(epoch)
        steps = range(start, len(self))
        if self.threads == 0:
            for step in steps:
                yield self._make(order, epoch, step)
            return
        waiting: deque[Future[T]] = deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="crossfade-loader")
        try:
            for step in steps:
                waiting.append(pool.submit(self._make, order, epoch, step))
                if len(waiting) > AHEAD * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _last_order(self, epoch: int) -> NDArray[np.int64]:
        """`order`, remembered from one call to the next; the pair is replaced as a whole, so threads may share it."""
        kept = self._kept
        if kept is None or kept[0] != epoch:
            self._kept = kept = epoch, self.order(epoch)
        return kept[1]

    def _make(self, order: NDArray[np.int64], epoch: int, step: int) -> T:
        ids = self.ids_at(order, step)
        batch = Batch(self.gather(self.pixels, ids, epoch), self.labels[ids], ids, epoch, step)
        return cast(Any, batch) if self.prepare is None else self.prepare(batch)
