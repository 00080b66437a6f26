"""Counting on the device while a training runs: no wait at each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def hits(logits: Tensor, labels: Tensor, *, k: int = 1) -> Tensor:
    """Whether each label is among the `k` largest logits of its row.

    Args:
        logits: (B, C) floating.
        labels: (B,) integers, classes.
        k: 1 for plain accuracy; more than C counts as C.

    Returns:
        (B,) bool.
    """
    top = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (top == labels[:, None]).any(dim=1)


def accuracy(logits: Tensor, labels: Tensor, *, k: int = 1) -> Tensor:
    """The share of `hits`, 0..1, as a float tensor of no dimensions on the logits' device."""
    return hits(logits, labels, k=k).float().mean()


def confusion_matrix(labels: Tensor, predicted: Tensor, num_classes: int) -> Tensor:
    """Count the pairs (truth, prediction).

    Args:
        labels: (N,) integers 0..num_classes-1, the truth.
        predicted: (N,) integers 0..num_classes-1.
        num_classes: C.

    Returns:
        (C, C) int64: rows are the truth, columns the prediction; the sum is N.
    """
    cells = labels.long() * num_classes + predicted.long()
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


class RunningMean:
    """A weighted mean of values that come one batch at a time:  mean = sum_b weight_b value_b / sum_b weight_b."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0
        self._weight = 0.0

    def add(self, value: Tensor | float, weight: float = 1.0) -> None:
        """Take in the mean `value` of a batch that weighs `weight` (its number of samples, say)."""
        if isinstance(value, Tensor):
            # Thousands of float32 terms lose digits; Apple's devices know nothing wider.
            value = value.detach().to(torch.float32 if value.device.type == "mps" else torch.float64)
        self._sum = self._sum + value * weight
        self._weight += weight

    def state(self) -> list[float]:
        """[sum, weight], to go on from."""
        return [float(self._sum), self._weight]

    @classmethod
    def restored(cls, state: Sequence[float]) -> RunningMean:
        """The way back from `state`, to the bit."""
        mean = cls()
        mean._sum, mean._weight = state
        return mean

    @property
    def value(self) -> float:
        """The mean so far, fetched from the device now; nan before anything was added."""
        return float(self._sum) / self._weight if self._weight else float("nan")
