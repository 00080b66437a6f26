"""What `ImageFolder` and `ArrayDataset` have in common: batches for ``model.fit``, mixed or not.

Batch i of epoch e is a function of (seed, e, i): not of a generator's state, nor of how many workers there are, or of
what was asked for before. Under ``model.fit`` the batches of an epoch come in that order, whatever `shuffle` is there:
whether pictures are shuffled is said here.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.errors import ConfigError
from crossfade.keras.datasets import asking
from crossfade.keras.datasets.ahead import Ahead
from crossfade.keras.datasets.options import Workers, check_mix, check_seed, is_whole
from crossfade.keras.datasets.source import ClassMode, Example, Source
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import Policy
from crossfade.vision.normalise import Normalisation


class MixedDataset(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` over a `Source`. Make one by `ImageFolder` or `ArrayDataset`.

    Args:
        source: makes the batches.
        class_names: in the order of the labels.
        epochs: of the whole training, where a policy needs to know.
        workers: Keras' own are left alone, see `asking`; `workers` reads 1 therefore.
    """

    def __init__(self, source: Source, class_names: list[str], epochs: int | None, workers: Workers) -> None:
        super().__init__()
        self._source, self._class_names, self._epochs, self._workforce = source, class_names, epochs, workers
        self._ahead: Ahead | None = None
        self._epoch = self._first = 0  # the one shown, and the one that Keras' loop began with
        self._begun = False  # whether part of the epoch was shown, and another loop begins with the next
        self._counts_steps = False

    # --------------------------------------------------------------------------------------------- what Keras calls

    def __len__(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return len(self._source)

    @property
    def num_batches(self) -> int | None:
        """As Keras asks for it; None where it counts `steps_per_epoch`, since then epoch follows epoch without end."""
        if isinstance(judged := asking.validation_data(), MixedDataset) and judged.mixes:
            raise ConfigError(
                f"{type(judged).__name__}: a model is judged on pictures as they are. "
                f"Got validation_data with mix={judged.mix!r}. Pass validation_data.with_mix(None)."
            )
        counts = asking.counts_steps()
        if counts is not None:
            self._counts_steps = counts
        return None if self._counts_steps else len(self)

    def __getitem__(self, index: int) -> Example:
        """Batch `index` of the current epoch: pictures (B, H, W, C) float32, or channels first; targets."""
        turn = asking.turn_of(self, index)
        if turn is None:
            return self._source.make(self._epoch, self._step(index))
        if turn == 0 and self._begun:
            self.set_epoch(self._epoch + 1)
        if turn == 0:
            self._first = self._epoch
        later, step = divmod(turn, len(self))
        return self._next(self._first + later, step)

    def __iter__(self) -> Iterator[Example]:
        """The batches of the current epoch, in turn; a loop of your own calls `on_epoch_end` for the next."""
        epoch = self._epoch
        for step in range(len(self)):
            yield self._next(epoch, step)

    def on_epoch_end(self) -> None:
        """Go to the next epoch; with `steps_per_epoch`, to where Keras is by then. Evaluation leaves it as it is."""
        shown = asking.batches_shown()
        if shown:
            later, rest = divmod(shown, len(self))
            self._epoch, self._begun = self._first + later, rest > 0
        elif shown == 0:
            self._epoch += 1

    def _next(self, epoch: int, step: int) -> Example:
        """As `Source.make`, where the batches that follow will be asked for next."""
        if self._ahead is None:
            self._ahead = self._workforce.start(self._source)
        return self._source.make(epoch, step) if self._ahead is None else self._ahead.take(epoch, step)

    def _step(self, index: int) -> int:
        step = operator.index(index)
        step += len(self) if step < 0 else 0
        if not 0 <= step < len(self):
            raise IndexError(f"{type(self).__name__}: batches are 0 to {len(self) - 1}. Got {index}.")
        return step

    # ------------------------------------------------------------------------------------------------- what it shows

    @property
    def source(self) -> Source:
        """What its batches depend on."""
        return self._source

    @property
    def n(self) -> int:
        """Pictures in an epoch."""
        return len(self._source.ids)

    @property
    def batch_size(self) -> int:
        """Pictures per batch, before any are appended to it."""
        return self._source.batch_size

    @property
    def seed(self) -> int:
        """Of everything that is left to chance."""
        return self._source.feed.seed

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of one picture as the model sees it."""
        return tuple(self[0][0].shape[1:])

    @property
    def num_classes(self) -> int:
        """C."""
        return self._source.num_classes

    @property
    def class_names(self) -> list[str]:
        """In alphabetical order, as Keras has them; a label is an index into them."""
        return self._class_names

    @property
    def class_indices(self) -> dict[str, int]:
        """{name: label}."""
        return {name: label for label, name in enumerate(self._class_names)}

    @property
    def class_mode(self) -> ClassMode:
        """What targets are: "categorical", "sparse" or "binary"."""
        return self._source.class_mode

    @property
    def classes(self) -> NDArray[Any]:
        """(n,) labels, or (n, C) where they were given so; in the order of the files, not of any epoch."""
        return self._source.labels[self._source.ids]

    @property
    def filenames(self) -> list[str]:
        """Of each of the n pictures, in the order of `classes`; numbers where there are no files."""
        return [str(number) for number in self._source.ids]

    @property
    def normalisation(self) -> Normalisation:
        """What all pictures are normalised by; of floats, or with a function of your own, it has no meaning."""
        return self._source.feed.normalisation

    @property
    def mix(self) -> Policy | None:
        """The policy."""
        return self._source.feed.policy

    @property
    def mixes(self) -> bool:
        """Whether it ever mixes a picture."""
        return self._source.feed.mixes

    @property
    def epoch(self) -> int:
        """Which epoch is shown, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Show an epoch: for a training that goes on at ``initial_epoch``, say."""
        if not is_whole(epoch, 0):
            raise ConfigError(f"set_epoch: epochs are whole numbers from 0. Got {epoch!r}.")
        self._epoch, self._begun = int(epoch), False

    def plan(self, index: int) -> Plan:
        """The plan that mixes batch `index` of the current epoch.

        Of pictures zipped with those of a second stream: 2B samples, of which the first B are shown.
        """
        return self._source.plan(self._epoch, self._step(index))

    def preview(self, n: int = 9) -> Example:
        """The first `n` pictures of the current epoch, (n, H, W, C) uint8, and their targets.

        Mixed and augmented, but before they are normalised. Floats are shown between black and white.
        """
        if not is_whole(n, 1):
            raise ConfigError(f"preview: n must be a whole number from 1. Got {n!r}. Pass 9, say.")
        pictures: list[NDArray[np.uint8]] = []
        targets: list[NDArray[Any]] = []
        step = 0
        while sum(map(len, pictures)) < n and step < len(self):
            some, their = self._source.pictures(self._epoch, step)
            pictures.append(some)
            targets.append(their)
            step += 1
        return np.concatenate(pictures)[:n], np.concatenate(targets)[:n]

    def with_mix(self, mix: Policy | str | None, *, seed: int | None = None) -> Self:
        """The same pictures, in the same order and equally augmented, mixed otherwise; at epoch 0.

        Args:
            mix: None for pictures as they are.
            seed: of everything left to chance; None keeps it.
        """
        feed, who = self._source.feed, type(self).__name__
        policy = check_mix(who, mix, self._epochs, self.class_mode, self._partners)
        own_seed = feed.seed if seed is None else check_seed(who, seed)
        paired = self._partners == "stream" and policy is not None
        other = copy.copy(self)
        other._source = replace(self._source, feed=replace(feed, policy=policy, seed=own_seed, paired=paired))
        other._ahead = None
        other.set_epoch(0)
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": None}
