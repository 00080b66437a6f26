"""R1's generator, and one for CutMix: two shuffled passes over a folder, mixed pair by pair.

`MixupImageDataGenerator` has the constructor, the attributes and the methods of R1's, and is a `keras.utils.PyDataset`.
Whatever comes in, pictures go through our cache and our one pass; only where a legacy generator asks for what that
cannot do, its own methods make each picture.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal, Self, cast

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.data.cache import prepare
from crossfade.data.scan import Index
from crossfade.errors import ConfigError
from crossfade.keras.datasets.base import MixedDataset
from crossfade.keras.datasets.folder import alphabetical, warn_of
from crossfade.keras.datasets.legacy import GeneratorFeed, LegacyAugment, beyond, is_generator, rescale
from crossfade.keras.datasets.options import Augmenting, DataFormat, Options, Partners, Workers, check_classes
from crossfade.keras.datasets.source import ClassMode, DoorFeed, Example, Source
from crossfade.mixing.blend import MixUp
from crossfade.mixing.box import CutMix
from crossfade.mixing.policy import Policy
from crossfade.vision.normalise import Normalisation

Subset = Literal["training", "validation"]


class MixupImageDataGenerator(MixedDataset):
    """Mixup from image files, for ``model.fit``: R1's class, whose program runs when it imports this one.

        lambda ~ Beta(alpha, alpha)          for each pair of pictures
        x = lambda x1 + (1 - lambda) x2      y = lambda y1 + (1 - lambda) y2

    x1 and x2 come of two passes over the folder, each in an order of its own, each augmented by itself.

    Args:
        generator: a legacy `ImageDataGenerator`, see `crossfade.keras.datasets.legacy`. Or an `Augment`, the name of a
            preset or a dict of its fields, or None: then values are divided by 255.
        directory: ``<class>/<picture>``.
        batch_size: the last batch of an epoch may be smaller.
        img_height, img_width: in pixels.
        alpha: above 0; 0.1 to 0.4 are R1's own advice.
        subset: "training" or "validation" of the generator's `validation_split`; None for all pictures. As in Keras,
            the first share of each class by the names of its files is for validation. Those are shown as they are:
            neither mixed nor augmented nor shuffled.
        class_mode: targets are "categorical" (B, C) float32, or "binary" (B, 1) float32, the weight of class 1 of 2.
        seed: of order, augmentation and mixing.
        partners: "stream" mixes with the second pass, "batch" within a batch.
        validation_split: in place of the generator's.
        channels: of the pictures, 3 or 1.
        data_format: None takes the generator's, or Keras' own.
        workers, use_multiprocessing, max_queue_size: as for `ImageFolder`.

    Attributes:
        batch_index: number of the batch that `next` gives, from 0.

    Raises:
        ConfigError: options that make no sense, alone or together.
        DataError, CacheError: see `crossfade.data`.

    Source:
        R1 of the reference systems. Differs: batch i of epoch e is a function of (seed, e, i); batches are float32
        whatever the generator's dtype; pictures are resized with smoothing, where Keras takes the nearest pixel.
    """

    _policy: ClassVar[type[MixUp | CutMix]] = MixUp

    def __init__(
        self,
        generator: Any,
        directory: str | os.PathLike[str],
        batch_size: int,
        img_height: int,
        img_width: int,
        alpha: float = 0.2,
        subset: Subset | None = None,
        *,
        class_mode: ClassMode = "categorical",
        seed: int = 0,
        partners: Partners = "stream",
        validation_split: float | None = None,
        channels: int = 3,
        data_format: DataFormat | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        who = type(self).__name__
        _check(who, class_mode, subset)
        layout = data_format or getattr(generator, "data_format", None) or keras.config.image_data_format()
        mix = self._policy(alpha=alpha)
        options = Options(
            who, batch_size, class_mode, _augment(generator), None, mix, partners, None, seed, None, layout
        )
        workforce = Workers(workers, use_multiprocessing, max_queue_size)
        self._index, cache = prepare(directory, size=(img_height, img_width), channels=channels)
        names = sorted(self._index.classes)
        check_classes(who, class_mode, len(names))
        self._share = _share(generator) if validation_split is None else validation_split
        source = Source(
            cache.pixels,
            alphabetical(self._index, names),
            _numbers(who, self._index, subset, self._share),
            _feed(options, generator, cache.pixels, channels),
            len(names),
            batch_size,
            shuffle=True,
            class_mode=class_mode,
            channels_first=layout == "channels_first",
        )
        self.directory, self.subset, self._partners, self._alpha = self._index.root, subset, partners, alpha
        self.batch_index = 0
        super().__init__(_as_they_are(source) if subset == "validation" else source, names, None, workforce)
        _tell(who, generator, self._index)

    # --------------------------------------------------------------------------------------- iteration, as R1 has it

    def __iter__(self) -> Iterator[Example]:
        """Batches without end, epoch after epoch."""
        while True:
            yield next(self)

    def __next__(self) -> Example:
        """The next batch; after the last of an epoch, the first of the next."""
        batch = self._next(self._epoch, self.batch_index)
        self.batch_index += 1
        if self.batch_index == len(self):
            self.reset()
            self.reset_index()
        return batch

    def reset_index(self) -> None:
        """Both passes in another order: the next epoch's."""
        self._epoch += 1

    def reset(self) -> None:
        """Back to the first batch of the epoch."""
        self.batch_index = 0

    def get_steps_per_epoch(self) -> int:
        """Full batches in an epoch: rounded down, where `len` rounds up."""
        return self.n // self.batch_size

    # ------------------------------------------------------------------------------------------------- what it shows

    @property
    def alpha(self) -> float:
        """Of Beta(alpha, alpha). It may be set in the midst of a training."""
        return getattr(self.mix, "alpha", self._alpha)

    @alpha.setter
    def alpha(self, value: float) -> None:
        if self.mix is None:
            self._alpha = self._policy(alpha=value).alpha
            return
        policy = replace(cast(MixUp | CutMix, self.mix), alpha=value)
        feed = replace(self._source.feed, policy=policy)
        self._source, self._ahead = replace(self._source, feed=feed), None

    @property
    def samples(self) -> int:
        """Pictures in an epoch, as Keras' iterators call it."""
        return self.n

    @property
    def filenames(self) -> list[str]:
        """(n) paths below `directory`, in the order of `classes`."""
        return [self._index.paths[number] for number in self._source.ids.tolist()]

    @property
    def generator1(self) -> OnePass:
        """The first pass alone, unmixed."""
        return OnePass(self, 0)

    @property
    def generator2(self) -> OnePass:
        """The second pass alone, unmixed."""
        return OnePass(self, 1)

    def held_out(self) -> Self:
        """The pictures for validation, as `subset="validation"` has them."""
        ids = _numbers(type(self).__name__, self._index, "validation", self._share)
        other = self.with_mix(None)
        other._source, other.subset = _as_they_are(replace(other._source, ids=ids)), "validation"
        return other

    def with_mix(self, mix: Policy | str | None, *, seed: int | None = None) -> Self:
        """The same pictures, in the same order and equally augmented, mixed otherwise; at epoch 0.

        Args:
            mix: None for pictures as they are.
            seed: of everything left to chance; None keeps it.
        """
        other = super().with_mix(mix, seed=seed)
        other.reset()
        return other


class CutmixImageDataGenerator(MixupImageDataGenerator):
    """CutMix from image files, for ``model.fit``: as `MixupImageDataGenerator`, but for what is mixed.

    A box of x2 lies over x1, its share of the picture drawn from Beta(alpha, alpha); labels are weighed by the pixels
    that are seen of each. Its arguments are those of `MixupImageDataGenerator`.

    Source:
        See `crossfade.CutMix`.
    """

    _policy = CutMix

    def __init__(
        self,
        generator: Any,
        directory: str | os.PathLike[str],
        batch_size: int,
        img_height: int,
        img_width: int,
        alpha: float = 1.0,
        subset: Subset | None = None,
        **options: Any,
    ) -> None:
        super().__init__(generator, directory, batch_size, img_height, img_width, alpha, subset, **options)


class OnePass:
    """One of the two passes over the pictures, unmixed: what R1 holds in `generator1` and `generator2`.

    Its batches are those of the current epoch of the generator it belongs to.
    """

    def __init__(self, whole: MixupImageDataGenerator, number: int) -> None:
        self._whole, self._number = whole, number
        self.n = self.samples = whole.n
        self.batch_size, self.class_mode = whole.batch_size, whole.class_mode
        self.class_indices, self.num_classes = whole.class_indices, whole.num_classes
        self.classes, self.filenames = whole.classes, whole.filenames

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, index: int) -> Example:
        """Batch `index`: pictures, augmented, and targets."""
        source = self._whole._source
        apart = replace(source, feed=replace(source.feed, policy=None, paired=True))
        return apart.streams(self._whole.epoch, self._whole._step(index))[self._number]


# -------------------------------------------------------------------------------------------------------- generators


def _augment(generator: Any) -> Augmenting:
    """What of a generator is drawn our way; None where its own methods do everything."""
    if not is_generator(generator):
        return generator
    return None if beyond(generator) else LegacyAugment.read(generator)  # type: ignore[return-value]


def _feed(options: Options, generator: Any, rows: Any, channels: int) -> DoorFeed:
    legacy = is_generator(generator)
    divisor = 1 / rescale(generator) if legacy else 255.0
    normalisation = Normalisation([0.0] * channels, [divisor / 255] * channels)
    feed = options.feed(rows, np.arange(0), normalisation)
    return GeneratorFeed.of(feed, generator) if legacy and beyond(generator) else feed


def _as_they_are(source: Source) -> Source:
    """Neither mixed nor augmented nor shuffled."""
    still: dict[str, Any] = {"transforms": False} if isinstance(source.feed, GeneratorFeed) else {}
    return replace(source, feed=replace(source.feed, policy=None, augment=None, paired=False, **still), shuffle=False)


def _tell(who: str, generator: Any, index: Index) -> None:
    """Warn of what takes long, and of what is left out."""
    if is_generator(generator) and (reasons := beyond(generator)):
        warnings.warn(
            f"{who}: {', '.join(reasons)} is beyond our one pass, so every picture goes through the generator's own "
            "methods, one by one: right, but slow.",
            stacklevel=3,
        )
    warn_of(who, index)


# -------------------------------------------------------------------------------------------------------------- split


def _share(generator: Any) -> float | None:
    return getattr(generator, "_validation_split", None) or None


def _numbers(who: str, index: Index, subset: Subset | None, share: float | None) -> NDArray[np.int64]:
    """The pictures of a subset, ascending, by the rule of Keras' `DirectoryIterator`."""
    if index.has_parts:
        raise ConfigError(
            f"{who}: directory must hold a folder for each class. Got {index.root} with {', '.join(set(index.parts))}. "
            f"Pass {index.root / index.parts[0]}, say."
        )
    if subset is None and share is None:
        return np.arange(len(index))
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ConfigError(
            f"{who}: subset={subset!r} needs a share above 0 and below 1 to hold out. Got validation_split={share}. "
            "Give it to the generator, or here."
        )
    if subset is None:
        return np.arange(len(index))
    chosen = []
    for label in range(len(index.classes)):
        members = sorted(np.flatnonzero(index.labels == label).tolist(), key=lambda n: _walked(index.paths[n]))
        held = int(share * len(members))
        chosen += members[:held] if subset == "validation" else members[held:]
    if not chosen:
        raise ConfigError(f"{who}: no class has so many pictures that {share} of them is one. Got {index.counts}.")
    return np.sort(np.array(chosen, np.int64))


def _walked(path: str) -> tuple[str, str]:
    """By which `os.walk`, folders sorted and files sorted, comes to a file."""
    where = PurePosixPath(path)
    return str(where.parent), where.name


def _check(who: str, class_mode: str | None, subset: str | None) -> None:
    if class_mode is None:
        raise ConfigError(
            f"{who}: labels are mixed as pictures are, and class_mode=None has none. "
            'Pass class_mode="categorical", and use the pictures alone of each batch.'
        )
    if subset not in (None, "training", "validation"):
        raise ConfigError(f"{who}: subset must be training, validation or None. Got {subset!r}.")
