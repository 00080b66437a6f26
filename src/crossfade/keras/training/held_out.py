"""Held-out pictures: read batch by batch with their labels, named by a model, and scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from crossfade.errors import ArrayError, ConfigError, DataError, LabelError
from crossfade.keras.training.outputs import Outputs, outputs_of, rows_of
from crossfade.training.metrics import Scorer, defined

BATCH = 32


@dataclass(frozen=True)
class Named:
    """What a model said of pictures.

    Attributes:
        labels: (N,) int64, the truth.
        rows: (N, C) float64 probabilities, None where the model gave numbers that are not finite.
        classes: C.
    """

    labels: NDArray[np.int64]
    rows: NDArray[np.float64] | None
    classes: int

    def scores(self) -> dict[str, float]:
        """Every metric that is defined of so many classes; nan of each where there are no probabilities."""
        if self.rows is None:
            return dict.fromkeys(defined(self.classes), float("nan"))
        return Scorer(self.rows, self.labels).all()

    def confusion(self) -> NDArray[np.int64] | None:
        """(C, C) counts, rows the truth, columns the prediction; None where there is none."""
        if self.rows is None:
            return None
        cells = self.labels * self.classes + self.rows.argmax(1)
        return np.bincount(cells, minlength=self.classes**2).reshape(self.classes, self.classes)


@dataclass(frozen=True)
class HeldOut:
    """Pictures that a model is judged on, as they are: not mixed, and with one label each.

    Args:
        who: asks for them, for its errors.
        data: a data set of ours or another `keras.utils.PyDataset`, a tuple (x, y) of arrays, or anything that gives
            batches (x, y) each time it is iterated, such as a `tf.data.Dataset` or a `DataLoader`.
        batch_size: in which arrays are read.

    Raises:
        DataError: data that mixes.
        ConfigError: data that ends after one pass, or never.
    """

    who: str
    data: Any
    batch_size: int = BATCH

    def __post_init__(self) -> None:
        if getattr(self.data, "mixes", False):
            raise DataError(
                f"{self.who}: a model is judged on pictures that are not mixed. Got data that mixes. "
                'Leave its mix out, or take the part subset="validation".'
            )
        if hasattr(self.data, "__next__") or not (self._is_pair or hasattr(self.data, "__getitem__") or self._repeats):
            raise ConfigError(
                f"{self.who}: held-out data is read again after every epoch. Got {type(self.data).__name__}. "
                "Pass a data set of ours, arrays (x, y), or what gives batches each time it is iterated."
            )

    @property
    def _is_pair(self) -> bool:
        return isinstance(self.data, tuple) and len(self.data) == 2

    @property
    def _repeats(self) -> bool:
        return hasattr(self.data, "__iter__")

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Pictures and labels, in the order of the data."""
        if self._is_pair:
            yield from self._slices(*self.data)
        elif isinstance(self.data, keras.utils.PyDataset):
            for i in range(len(self.data)):
                yield self._unpacked(self.data[i])
        else:
            for batch in self.data:
                yield self._unpacked(batch)

    def named_by(self, model: Any, probabilities: str | None = None) -> Named:
        """Let a model name all pictures.

        Args:
            probabilities: what its outputs are, see `crossfade.keras.training.outputs.outputs_of`.

        Raises:
            ArrayError, ConfigError: outputs that are no probabilities.
            LabelError: labels of mixed or smoothed pictures, or of more than one class.
            DataError: there are no pictures.
        """
        outputs: Outputs | None = outputs_of(model, probabilities)
        raw, labels = [], []
        for x, y in self.batches():
            raw.append(np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x))))
            labels.append(self._numbers(keras.ops.convert_to_numpy(y), raw[-1]))
        if not raw:
            raise DataError(f"{self.who}: a model is judged on one picture or more. Got none. Pass held-out data.")
        found = np.concatenate(raw)
        classes = 2 if found.ndim == 1 else max(2, found.shape[-1])
        rows = rows_of(found, outputs) if np.isfinite(found.astype(np.float32)).all() else None
        return Named(np.concatenate(labels), rows, classes)

    def _slices(self, x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
        if len(x) != len(y):
            raise ArrayError(f"{self.who}: every picture has a label. Got {len(x)} pictures and {len(y)} labels.")
        for start in range(0, len(x), self.batch_size):
            stop = start + self.batch_size
            yield x[start:stop], y[start:stop]

    def _unpacked(self, batch: Any) -> tuple[Any, Any]:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            kind = f"{len(batch)} parts" if isinstance(batch, tuple | list) else type(batch).__name__
            raise ArrayError(
                f"{self.who}: held-out batches are pictures and labels, (x, y). Got {kind}. Leave sample weights out."
            )
        return batch[0], batch[1]

    def _numbers(self, labels: NDArray[Any], raw: NDArray[Any]) -> NDArray[np.int64]:
        """(B,) numbers of the classes."""
        if len(labels) != len(raw):
            raise ArrayError(f"{self.who}: every picture has a label. Got {len(raw)} pictures, {len(labels)} labels.")
        if labels.ndim == 2 and labels.shape[1] > 1:
            if not (np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all()):
                wrong = labels[np.flatnonzero(~((labels.max(1) == 1) & (labels.sum(1) == 1)))[:1]]
                raise self._no_class(f"a row {wrong.tolist()}")
            return labels.argmax(1).astype(np.int64)
        numbers = labels.reshape(len(labels), -1)[:, 0]
        if labels.size != len(labels) or not (numbers == np.rint(numbers)).all():
            raise self._no_class(f"{labels.dtype} {labels.shape}, such as {labels.reshape(-1)[:3].tolist()}")
        return numbers.astype(np.int64)

    def _no_class(self, got: str) -> LabelError:
        return LabelError(
            f"{self.who}: a model is judged by pictures of one class each, neither mixed nor smoothed. Got {got}. "
            "Pass class numbers, or rows with a single 1."
        )
