"""The batches of a dataset: what is in each is a function of (seed, epoch, step), and of nothing else.

This module knows no framework, not even Keras, so that a process that makes batches loads none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.dispatch import mix_images, mix_targets
from crossfade.data.loader import Batch, Loader
from crossfade.data.rows import Rows
from crossfade.errors import ArrayError
from crossfade.mixing.pairs import across
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import NoMix
from crossfade.rng import Stream, derive_rng
from crossfade.training.feed import Feed, Ready
from crossfade.vision.augment import Augmentation
from crossfade.vision.normalise import Normalisation, as_pictures

ClassMode = Literal["categorical", "sparse", "binary"]
Example = tuple[NDArray[Any], NDArray[Any]]
_SECOND = 1 << 40  # added to the ids of partners: chance takes them for other pictures


class PairLoader(Loader[Ready]):
    """Two passes over the same pictures: batches hold B of the first and, behind them, B of the second.

    The second is always in a random order of its own.
    """

    def order(self, epoch: int) -> NDArray[np.int64]:
        """(2, n) ids."""
        return np.stack([super().order(epoch), derive_rng(self.seed, Stream.PARTNERS, epoch).permutation(self.ids)])

    def ids_at(self, order: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        """(2 B,) ids."""
        return order[:, step * self.batch_size : (step + 1) * self.batch_size].ravel()


@dataclass(frozen=True)
class DoorFeed(Feed):
    """A `Feed` that also knows streams zipped pair by pair, pictures that are floats, and a user's own preprocessing.

    Args:
        paired: batches come from a `PairLoader`.
        function: uint8 (B, H, W, C) -> floats of that shape, instead of a normalisation.
        channels_first: whether `function` is given, and returns, (B, C, H, W).
    """

    paired: bool = False
    function: Callable[[Any], Any] | None = None
    channels_first: bool = False

    @property
    def mixes(self) -> bool:
        """Whether any picture is ever mixed."""
        return not (self.policy is None or isinstance(self.policy, NoMix))

    def gather(self, pixels: Rows, ids: NDArray[np.int64], epoch: int) -> NDArray[Any]:
        """As of a `Feed`; of floats, a copy in float32."""
        if isinstance(pixels, np.ndarray) and pixels.dtype != np.uint8:
            return pixels[ids].astype(np.float32, copy=False)
        return super().gather(pixels, ids, epoch)

    def chance_ids(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the chance of each picture is derived from: of the second stream, it is another than of the first."""
        return ids + np.repeat([0, _SECOND], len(ids) // 2) if self.paired else ids

    def for_show(self, channels: int) -> Self:
        """The same, but in 0..1 whatever the model sees: for pictures of so many channels."""
        return replace(
            self,
            function=None,
            normalisation=Normalisation([0.0] * channels, [1.0] * channels),
            preprocess=replace(self.preprocess, normalise="divide", normalise_by="training"),
        )

    def _draw(self, ids: NDArray[np.int64], epoch: int, size: tuple[int, ...]) -> Augmentation | None:
        return super()._draw(self.chance_ids(ids), epoch, size)

    def _plan(self, batch: Batch) -> Plan:
        if not self.paired:
            return super()._plan(batch)
        half = len(batch.ids) // 2
        first = replace(batch, images=batch.images[:half], labels=batch.labels[:half], ids=batch.ids[:half])
        return across(super()._plan(first))

    def _render(self, ready: Ready, pixels: Any) -> Any:
        if pixels.dtype == np.uint8 and self.function is None:
            return super()._render(ready, pixels)
        values = pixels if self.function is None else self._applied(pixels)
        return mix_images(values, ready.plan, layout="NHWC")

    def _applied(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self.function is not None
        given = pixels.transpose(0, 3, 1, 2) if self.channels_first else pixels
        values = np.asarray(self.function(given))
        expected = given.shape[:1] + given.shape[2:] if self.channels_first else given.shape[:3]
        got = values.shape[:1] + values.shape[2:] if self.channels_first else values.shape[:3]
        if values.ndim != 4 or got != expected or values.dtype.kind not in "fui":
            raise ArrayError(
                f"preprocess: the function must return numbers of the batch it was given, {given.shape}. "
                f"Got {values.dtype} {values.shape}. It may change values and channels, not pictures or their size."
            )
        values = values.astype(np.float32, copy=False)
        return values.transpose(0, 2, 3, 1) if self.channels_first else values


@dataclass(frozen=True)
class Source:
    """Everything that the batches of a dataset depend on.

    Attributes:
        rows: (N, H, W, C), uint8 or floating.
        labels: (N,) class numbers, or (N, num_classes).
        ids: (n,) which of the N pictures are shown.
        feed: draws and mixes.
        class_mode: what becomes of the labels.
        channels_first: whether batches are (B, C, H, W).
    """

    rows: Rows
    labels: NDArray[Any]
    ids: NDArray[np.int64]
    feed: DoorFeed
    num_classes: int
    batch_size: int
    shuffle: bool
    class_mode: ClassMode = "categorical"
    channels_first: bool = False

    def __len__(self) -> int:
        return len(self._loader)

    def make(self, epoch: int, step: int) -> Example:
        """Pictures as the model sees them, float32, and targets."""
        return self.streams(epoch, step)[0]

    def streams(self, epoch: int, step: int) -> list[Example]:
        """The same batch; where there are two streams, that of the second behind it, which is never mixed."""
        ready = self.ready(epoch, step)
        images = ready.pixels.transpose(0, 3, 1, 2) if self.channels_first else ready.pixels
        count = 2 if self.feed.paired else 1
        return list(zip(np.split(images, count), np.split(self._targets(ready), count), strict=True))

    def pictures(self, epoch: int, step: int) -> Example:
        """The same batch as pictures, (B, H, W, C) uint8, and targets."""
        shown = self.feed.for_show(self.feed.preprocess.channels(self.rows.shape[3]))
        images, targets = replace(self, feed=shown, channels_first=False).make(epoch, step)
        if getattr(self.rows, "dtype", np.uint8) != np.uint8:
            images = _stretched(images)
        return as_pictures(images, shown.normalisation), targets

    def ready(self, epoch: int, step: int) -> Ready:
        """The batch with the plan that mixed it, channels last."""
        return self._loader.batch(epoch, step)

    def labels_at(self, epoch: int, step: int) -> NDArray[Any]:
        """The labels of a batch, unmixed; of pairs, those of the second pictures behind those of the first."""
        return self.labels[self._loader.batch_ids(epoch, step)]

    def plan(self, epoch: int, step: int) -> Plan:
        """The plan of `ready`; pictures are read only for a policy that looks at them."""
        ids = self._loader.batch_ids(epoch, step)
        unread: Any = _Unread((len(ids), *self.rows.shape[1:]))
        try:
            return self.feed._plan(Batch(unread, self.labels[ids], ids, epoch, step))
        except _Looked:
            return self.ready(epoch, step).plan

    @cached_property
    def _loader(self) -> Loader[Ready]:
        kind = PairLoader if self.feed.paired else Loader[Ready]
        return kind(
            self.rows,
            self.labels,
            self.ids,
            batch_size=self.batch_size,
            seed=self.feed.seed,
            shuffle=self.shuffle,
            gather=self.feed.gather,
            copies=2 if self.feed.augment is not None and self.feed.augment.append else 1,
            prepare=self.feed.prepare,
            threads=0,
        )

    def _targets(self, ready: Ready) -> NDArray[Any]:
        if self.class_mode == "sparse":
            return ready.labels.astype(np.int32)
        targets = mix_targets(ready.labels, ready.plan, num_classes=self.num_classes)
        return targets[:, 1:] if self.class_mode == "binary" else targets

    @property
    def is_in_memory(self) -> bool:
        """Whether the pictures themselves travel where this is sent to another process."""
        return isinstance(self.rows, np.ndarray) and not isinstance(self.rows, np.memmap)

    def in_file(self, path: Path) -> Self:
        """The same, of pictures that are written to a new file."""
        np.save(path, self.rows[:])
        return replace(self, rows=np.load(path, mmap_mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        """A memory map travels as the name of its file."""
        state = {name: value for name, value in self.__dict__.items() if name != "_loader"}
        if isinstance(self.rows, np.memmap):
            assert self.rows.filename is not None
            state["rows"] = _Map(Path(self.rows.filename), self.rows.dtype, self.rows.offset, self.rows.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows = state["rows"]
        self.__dict__.update(state, rows=rows.open() if isinstance(rows, _Map) else rows)


class _Looked(Exception):
    """Someone looked at pictures that were not read."""


@dataclass(frozen=True)
class _Unread:
    """A batch of pictures of which the shape alone is known."""

    shape: tuple[int, ...]

    def __getattr__(self, name: str) -> Any:
        raise _Looked(name)

    def __getitem__(self, rows: slice) -> _Unread:
        return _Unread((len(range(self.shape[0])[rows]), *self.shape[1:]))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _Looked


@dataclass(frozen=True)
class _Map:
    """Where a memory map is found again."""

    path: Path
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]

    def open(self) -> NDArray[Any]:
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def _stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Floats of any range in 0..1: those in 0..1 as they are, those in 0..255 by 255, others from least to largest."""
    low, high = values.min(), values.max()
    if low >= 0 and high <= 255:
        return values if high <= 1 else values / np.float32(255)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
