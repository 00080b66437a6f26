"""`ArrayDataset`: pictures in memory for ``model.fit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import ArrayError, ConfigError, LabelError
from crossfade.keras.datasets.base import MixedDataset
from crossfade.keras.datasets.options import (
    Augmenting,
    DataFormat,
    Options,
    Partners,
    Preprocessing,
    Workers,
    check_classes,
    is_whole,
)
from crossfade.keras.datasets.source import ClassMode, Source
from crossfade.mixing.policy import Policy
from crossfade.vision.normalise import Normalisation

_WHO = "ArrayDataset"
_CHUNK = 1 << 24


class ArrayDataset(MixedDataset):
    """Batches of pictures in memory, augmented, mixed and normalised, for ``model.fit``.

        (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
        model.fit(ArrayDataset(x, y, mix=cf.CutMix(0.25)), validation_data=ArrayDataset(x_test, y_test, shuffle=False))

    Batch i of epoch e is a function of (seed, e, i), whatever `workers` is.

    Args:
        x: (N, H, W, C), or channels first as `data_format` says. uint8 is augmented, normalised and mixed in one pass.
            Floats keep their values and are mixed as they are; to augment or preprocess them is refused.
        y: (N,) or (N, 1) class numbers; or (N, C) one-hot, soft or multi-hot.
        batch_size: the last batch may be smaller.
        class_names: in the order of the labels; None takes their numbers.
        num_classes: None takes the largest class number and one more.
        normalisation: what training pictures were normalised by, for others; None measures it on `x`, where
            `preprocess` asks for that at all.
        class_mode, augment, preprocess, mix, partners, seed, epochs, data_format: as for `ImageFolder`.
        shuffle: False keeps the order of `x`.
        workers, use_multiprocessing, max_queue_size: as for `ImageFolder`.

    Raises:
        ArrayError, LabelError: `x` or `y` is no such array, or they do not belong together.
        ConfigError: options that make no sense, alone or together.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        *,
        class_names: Sequence[str] | None = None,
        num_classes: int | None = None,
        class_mode: ClassMode = "categorical",
        augment: Augmenting = None,
        preprocess: Preprocessing = None,
        normalisation: Normalisation | None = None,
        mix: Policy | str | None = None,
        partners: Partners = "batch",
        shuffle: bool = True,
        seed: int = 0,
        epochs: int | None = None,
        data_format: DataFormat | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        layout = keras.config.image_data_format() if data_format is None else data_format
        options = Options(
            _WHO, batch_size, class_mode, augment, preprocess, mix, partners, shuffle, seed, epochs, layout
        )
        workforce = Workers(workers, use_multiprocessing, max_queue_size)
        pictures = _pictures(x, layout)
        if pictures.dtype != np.uint8 and not (augment is None and preprocess is None):
            raise ConfigError(
                f"{_WHO}: floats keep their values; augment and preprocess need levels of 255. Got {pictures.dtype} "
                f"with augment={augment!r}, preprocess={preprocess!r}. Pass uint8 pictures, or leave these out."
            )
        if not (normalisation is None or isinstance(normalisation, Normalisation)):
            raise ConfigError(
                f"{_WHO}: normalisation is what training pictures were normalised by. Got {normalisation!r}. "
                "Pass the .normalisation of the training's dataset."
            )
        labels, count = _labels(y, len(pictures), class_mode, num_classes, class_names)
        check_classes(_WHO, class_mode, count)
        ids = np.arange(len(pictures))
        source = Source(
            pictures,
            labels,
            ids,
            options.feed(pictures, ids, normalisation),
            count,
            batch_size,
            shuffle,
            class_mode,
            channels_first=layout == "channels_first",
        )
        self._partners = partners
        names = [str(label) for label in range(count)] if class_names is None else list(class_names)
        super().__init__(source, names, epochs, workforce)


def _pictures(x: ArrayLike, layout: DataFormat) -> NDArray[Any]:
    """(N, H, W, C), uint8 or floating."""
    pictures = np.asarray(x)
    if pictures.ndim != 4 or 0 in pictures.shape:
        more = " Pass x[..., None] for grey pictures." if pictures.ndim == 3 else ""
        raise ArrayError(f"{_WHO}: x must be pictures with four axes, none of them 0. Got {pictures.shape}.{more}")
    if pictures.dtype != np.uint8 and pictures.dtype.kind != "f":
        raise ArrayError(
            f"{_WHO}: x must be uint8 or floating. Got {pictures.dtype}. "
            "Pass x.astype('uint8') where values are 0 to 255."
        )
    step = max(1, _CHUNK // max(1, pictures[0].nbytes))
    for start in range(0, len(pictures) if pictures.dtype.kind == "f" else 0, step):
        bad = ~np.isfinite(pictures[start : start + step]).all(axis=(1, 2, 3))
        if bad.any():
            raise ArrayError(
                f"{_WHO}: x must be finite, since one nan spoils every weight of a network. Got nan or inf in picture "
                f"{start + int(bad.argmax())}, say. Mend it or leave it out."
            )
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)) if layout == "channels_first" else pictures


def _labels(
    y: ArrayLike, pictures: int, class_mode: ClassMode, num_classes: int | None, names: Sequence[str] | None
) -> tuple[NDArray[Any], int]:
    """(N,) int64 and how many classes there are; or (N, C) float32 and C."""
    labels = _array(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "iufb" or len(labels) != pictures:
        raise LabelError(
            f"{_WHO}: y must be (N,) or (N, 1) class numbers or (N, C), one for each of {pictures} pictures. "
            f"Got {labels.dtype} {labels.shape}. Pass the labels of these pictures."
        )
    count = _count(num_classes, names)
    return _dense(labels, class_mode, count) if labels.ndim == 2 else _sparse(labels, class_mode, count)


def _array(y: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(y)
    except ValueError:  # rows of different lengths
        return np.asarray(y, dtype=object)


def _count(num_classes: int | None, names: Sequence[str] | None) -> int | None:
    """How many classes there are said to be."""
    if num_classes is not None and not is_whole(num_classes, 1):
        raise ConfigError(f"{_WHO}: num_classes must be a whole number from 1, or None. Got {num_classes!r}.")
    if names is None:
        return num_classes
    if len(set(names)) < len(names) or num_classes not in (None, len(names)):
        raise ConfigError(
            f"{_WHO}: class_names must be one for each class, no two alike. "
            f"Got {list(names)} with num_classes={num_classes}."
        )
    return len(names)


def _dense(labels: NDArray[Any], class_mode: ClassMode, count: int | None) -> tuple[NDArray[Any], int]:
    if count not in (None, labels.shape[1]) or not (np.isfinite(labels).all() and (labels >= 0).all()):
        raise LabelError(
            f"{_WHO}: y (N, C) holds a weight from 0 for each class. Got {labels.shape}, least {labels.min()}, "
            f"for {count} classes. Pass one column for each."
        )
    if class_mode == "binary" and labels.shape[1] == 2 and not np.allclose(labels.sum(axis=1), 1, atol=1e-3):
        raise LabelError(
            f'{_WHO}: class_mode="binary" shows the second of the weights of two classes that are 1 together. '
            'Got y with rows that are not. Pass class_mode="categorical".'
        )
    if class_mode != "sparse":
        return labels.astype(np.float32), labels.shape[1]
    if not ((labels == 0) | (labels == 1)).all() or not (labels.sum(axis=1) == 1).all():
        raise LabelError(
            f'{_WHO}: class_mode="sparse" needs one class for each picture. Got y {labels.shape}, not one-hot. '
            'Pass class_mode="categorical".'
        )
    return labels.argmax(axis=1).astype(np.int64), labels.shape[1]


def _sparse(labels: NDArray[Any], class_mode: ClassMode, count: int | None) -> tuple[NDArray[Any], int]:
    with np.errstate(invalid="ignore"):  # of nan, which is then refused
        numbers = labels.astype(np.int64)
    if not np.array_equal(numbers, labels) or numbers.min() < 0 or (count is not None and numbers.max() >= count):
        most = "" if count is None else f" to {count - 1}"
        raise LabelError(
            f"{_WHO}: class numbers are whole, from 0{most}. Got {labels.dtype}, {labels.min()} to {labels.max()}. "
            "Pass (N, C) for soft labels, or another num_classes."
        )
    found = int(numbers.max()) + 1 if count is None else count
    return numbers, max(found, 2) if class_mode == "binary" else found
