"""What a Keras model gets right where labels are mixed."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crossfade.errors import ArrayError


@keras.saving.register_keras_serializable(package="crossfade")
class MixedAccuracy(keras.metrics.MeanMetricWrapper):
    """The share of label weight that the predictions hit: 0..1, as `crossfade.mixed_accuracy` has it.

        accuracy = 1/B sum_i y_i[argmax_c p_i[c]]           (C columns)
        accuracy = 1/B sum_i (y_i if p_i > threshold else 1 - y_i)         (one column, a sigmoid's)

    Keras' own "accuracy" takes the largest label of a mixed sample for the whole truth. Of unmixed labels both are the
    same. A perfect model reaches the mean of the larger weights, not 1.

    Args:
        threshold: from which on one column says class 1: 0.5 of a probability, 0 of a logit.

    Labels are (B, C) weights of the classes, (B, 1) or (B,) weights of class 1 where the model has one column, or
    (B,) or (B, 1) class numbers where it has more. Sample weights are Keras'.

    Raises:
        ArrayError: labels and predictions whose shapes do not belong together.
    """

    def __init__(self, threshold: float = 0.5, name: str = "mixed_accuracy", dtype: Any = None) -> None:
        super().__init__(_hit, name=name, dtype=dtype, threshold=threshold)
        self._direction = "up"
        self.threshold = threshold

    def get_config(self) -> dict[str, Any]:
        """What `keras.saving` writes."""
        return {"threshold": self.threshold, "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MixedAccuracy:
        """The way back from `get_config`."""
        return cls(**config)


def _hit(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """(B,) label weight that each prediction hits."""
    labels, predicted = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    classes = predicted.shape[-1]
    if len(predicted.shape) != 2 or len(labels.shape) > 2 or not _fit(labels, classes):
        raise ArrayError(
            "MixedAccuracy: predictions must be (B, C), and labels (B, C) weights or (B,) class numbers. "
            f"Got {tuple(predicted.shape)} and {tuple(labels.shape)}. Give the model one column for each class."
        )
    if classes == 1:
        weight = ops.cast(ops.reshape(labels, (-1,)), "float32")
        return ops.where(predicted[:, 0] > threshold, weight, 1 - weight)
    chosen = ops.argmax(predicted, axis=-1)
    if len(labels.shape) == 1 or labels.shape[-1] == 1:
        return ops.cast(ops.cast(ops.reshape(labels, (-1,)), chosen.dtype) == chosen, "float32")
    return ops.sum(ops.cast(labels, "float32") * ops.one_hot(chosen, classes, dtype="float32"), axis=-1)


def _fit(labels: Any, classes: int) -> bool:
    """Whether labels can be of so many classes, by their shape."""
    return len(labels.shape) == 1 or labels.shape[-1] in (1, classes)
