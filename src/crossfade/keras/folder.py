"""`ImageFolder`: a folder of pictures for ``model.fit``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.data.cache import prepare
from crossfade.data.fit import Size
from crossfade.data.scan import Index
from crossfade.data.split import Part, Split, SplitBy, first_per_class, split
from crossfade.errors import ConfigError
from crossfade.keras._options import Augmenting, DataFormat, Options, Partners, Preprocessing, Workers, check_classes
from crossfade.keras._source import ClassMode, Source
from crossfade.keras.dataset import MixedDataset
from crossfade.mixing.policy import Policy

Subset = Literal["training", "validation", "test"]
_PART_OF: dict[Subset, Part] = {"training": "train", "validation": "val", "test": "test"}
_WHO = "ImageFolder"
SPLIT_SEED = 0  # of its own, so that a training's seed never moves a picture from one subset to the other


class ImageFolder(MixedDataset):
    """Batches of the pictures in a folder, augmented, mixed and normalised, for ``model.fit``.

        train = ImageFolder("photos", 150, subset="training", validation_split=0.3, mix=cf.MixUp(0.2))
        held_out = ImageFolder("photos", 150, subset="validation", validation_split=0.3)
        model.fit(train, validation_data=held_out, epochs=10)

    Pictures are decoded once and kept in the cache; nothing is written into their folder. Batch i of epoch e is a
    function of (seed, e, i), whatever `workers` is.

    Args:
        directory: ``<class>/<picture>``, or ``train/<class>/...`` beside ``val/`` and ``test/``.
        image_size: (height, width) in pixels, or the side of a square; None takes what suits the pictures.
            `preprocess` says how they come to it: `fit` is "stretch" unless it is "crop", "pad" or "drop".
        batch_size: the last batch may be smaller.
        subset: "training" or "validation" of the `validation_split`, or of the folder's own parts, which may hold
            "test", too; None for all pictures of a folder without parts.
        validation_split: share of each class. Pictures that are the same, or nearly, stay in one subset.
        class_mode: targets are "categorical" (B, C) float32, "sparse" (B,) int32 (only unmixed), or "binary"
            (B, 1) float32, the weight of class 1 of 2.
        augment: a preset's name ("light", "r1", "strong", ...), an `Augment` or a dict of its fields.
        preprocess: a `Preprocess` or a dict of its fields; or a function of an augmented uint8 batch that returns
            floats, such as ``keras.applications.vgg16.preprocess_input``, which then takes the place of a
            normalisation, before mixing. None divides by 255.
        mix: a policy, or its name with options such as "cutmix:alpha=1.0".
        partners: "batch" mixes within a batch; "stream" with a second, independently shuffled pass over the same
            pictures, pair by pair.
        shuffle: None shuffles, but for "validation" and "test".
        seed: of order, augmentation and mixing.
        epochs: of the training, for policies that change in its course.
        channels: 1 or 3; None takes 1 if all pictures are grey.
        data_format: None as Keras is configured.
        per_class: only the first so many pictures of each class.
        split_by: "name" gives the last of each class, by name, to validation, whatever they show.
        workers: threads that make batches ready while the model trains; 0 for none.
        use_multiprocessing: processes instead, for a slow function in `preprocess`.
        max_queue_size: batches that wait, at most.

    Raises:
        ConfigError: options that make no sense, alone or together.
        DataError, CacheError: see `crossfade.data`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_size: Size | None = None,
        batch_size: int = 32,
        *,
        subset: Subset | None = None,
        validation_split: float | None = None,
        class_mode: ClassMode = "categorical",
        augment: Augmenting = None,
        preprocess: Preprocessing = None,
        mix: Policy | str | None = None,
        partners: Partners = "batch",
        shuffle: bool | None = None,
        seed: int = 0,
        epochs: int | None = None,
        channels: int | None = None,
        data_format: DataFormat | None = None,
        per_class: int | None = None,
        split_by: SplitBy = "content",
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        _check_subset(subset, validation_split, mix=mix, augment=augment)
        layout = keras.config.image_data_format() if data_format is None else data_format
        options = Options(_WHO, batch_size, class_mode, augment, preprocess, mix, partners, seed, epochs, layout)
        workforce = Workers(workers, use_multiprocessing, max_queue_size)
        fit = options.steps.fit
        self.index, cache = prepare(directory, size=image_size, channels=channels, fit=fit)
        self.split = _split(self.index, subset, validation_split, split_by, per_class)
        names = sorted(self.index.classes)
        check_classes(_WHO, class_mode, len(names))
        ids = self.split.part(_PART_OF[subset or "training"])
        source = Source(
            cache.pixels,
            alphabetical(self.index, names),
            ids,
            options.feed(cache.pixels, self.split.train),
            len(names),
            batch_size,
            subset in (None, "training") if shuffle is None else shuffle,
            class_mode,
            channels_first=layout == "channels_first",
        )
        self.directory, self.subset, self._partners = self.index.root, subset, partners
        super().__init__(source, names, epochs, workforce)
        warn_of(_WHO, self.index, self.split.notes)

    @property
    def filenames(self) -> list[str]:
        """(n) paths below `directory`, in the order of `classes`."""
        return [self.index.paths[number] for number in self._source.ids.tolist()]


def _check_subset(subset: str | None, share: float | None, **training_only: object) -> None:
    if subset not in (None, *get_args(Subset)):
        raise ConfigError(f"{_WHO}: subset must be training, validation, test or None. Got {subset!r}.")
    if share is not None and not (isinstance(share, int | float) and 0 < share < 1):
        raise ConfigError(f"{_WHO}: validation_split is a share above 0 and below 1. Got {share!r}. Pass 0.2, say.")
    if share is not None and subset is None:
        raise ConfigError(
            f"{_WHO}: which part of a split is meant? Got validation_split={share}, subset=None. "
            'Pass subset="training", and "validation" for the other.'
        )
    for name, value in training_only.items():
        if subset in ("validation", "test") and value is not None:
            raise ConfigError(
                f"{_WHO}: a model is judged on pictures as they are. "
                f'Got subset="{subset}", {name}={value!r}. Leave {name} out.'
            )


def _split(index: Index, subset: Subset | None, share: float | None, by: SplitBy, per_class: int | None) -> Split:
    given = [name for name in _PART_OF if _PART_OF[name] in index.parts]
    if index.has_parts and subset is None:
        raise ConfigError(
            f"{_WHO}: {index.root} holds parts, {', '.join(given)}. Got subset=None. Pass one of them as subset."
        )
    if share is not None and "validation" in given:
        raise ConfigError(
            f"{_WHO}: {index.root} has validation pictures of its own. Got validation_split={share}. Leave it out."
        )
    possible = given + ([] if share is None else ["training", "validation"])
    if subset is not None and subset not in possible:
        what = f"a folder with {', '.join(given)}" if given else "a folder without parts"
        raise ConfigError(
            f"{_WHO}: there are no pictures for subset={subset!r} in {what} and validation_split={share}. "
            "Pass validation_split=0.2, say, to take some of the training pictures."
        )
    done = split(index, seed=SPLIT_SEED, val=share or 0.0, by=by)
    return done if per_class is None else first_per_class(done, index.labels, per_class)


def warn_of(who: str, index: Index, notes: Sequence[str] = ()) -> None:
    """Warn of files that are left out, and of what a reader of the scores should know of a split."""
    said = list(notes)
    if index.refused:
        first = index.refused[0]
        said.append(f"{len(index.refused)} files cannot be read and are left out, {first.path} ({first.reason}) first")
    for note in said:
        warnings.warn(f"{who}: {note}.", stacklevel=3)


def alphabetical(index: Index, names: list[str]) -> NDArray[np.int64]:
    """(N,) labels as numbers in `names`: the index counts 2 before 10."""
    return np.array([names.index(name) for name in index.classes], np.int64)[index.labels]
