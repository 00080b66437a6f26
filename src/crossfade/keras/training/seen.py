"""The first pictures that a model will see, as pictures, for the page of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.keras.datasets.base import MixedDataset
from crossfade.training import record


def write_first_pictures(folder: Path, data: Any, classes: int) -> None:
    """Write ``seen.npz``; nothing of data that gives no pictures unless some of them are used up."""
    if isinstance(data, MixedDataset):
        source, place = data.source, (data.epoch, 0)
        pictures, targets = source.pictures(*place)
        if (labels := source.labels_at(*place)).ndim == 1:  # then the plan tells of which pictures each is made
            record.write_seen(folder, pictures, labels, source.plan(*place))
        else:
            record.write_seen_targets(folder, pictures, _dense(targets, classes))
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = (keras.ops.convert_to_numpy(part[: record.SEEN]) for part in data)
        if (shown := _shown(x)) is not None:
            record.write_seen_targets(folder, shown, _dense(y, classes))


def _shown(x: NDArray[Any]) -> NDArray[np.uint8] | None:
    """uint8 as it is, floats from their least to their largest value; None where it is no batch of pictures."""
    if x.ndim != 4:
        return None
    values = x.transpose(0, 2, 3, 1) if keras.config.image_data_format() == "channels_first" else x
    if values.shape[3] not in (1, 3, 4) or values.dtype == np.uint8:
        return values if values.shape[3] in (1, 3, 4) else None
    low, high = float(values.min()), float(values.max())
    return np.rint((values - low) * (255 / (high - low if high > low else 1))).astype(np.uint8)


def _dense(targets: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """(n, classes) weights, of class numbers or of the weight of class 1, too."""
    if targets.ndim == 2 and targets.shape[1] > 1:
        return targets.astype(np.float32)
    column = targets.reshape(-1)
    if targets.dtype.kind == "f" and classes == 2:
        return np.stack([1 - column, column], axis=1).astype(np.float32)
    return np.eye(classes, dtype=np.float32)[column.astype(np.int64)]
