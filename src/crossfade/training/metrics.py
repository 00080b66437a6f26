"""What a classifier is judged by, from its probabilities (N, C) and the truth (N,).

Every metric takes a weight for each picture, which counts it so often: a bootstrap resample is a vector of counts.
Where a metric is not defined (an AUC of pictures that are all of one class) it is nan, never a number that looks like
one. Own code where scikit-learn has the same, since a `Scorer` sorts once for a thousand resamples; the tests hold
the two against each other. NumPy only: the report may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import ArrayError, LabelError, check_known

ECE_BINS = 15
TOP = 5
_TINY = np.finfo(np.float64).tiny
_NUMBER = np.uint32  # of a picture: half the memory, and four billion are enough

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A number a training is judged by.

    Attributes:
        name: its key in records and configurations.
        title: its name in sentences.
        better: which way is better.
        percent: whether it is a share of 1, told in percent and its differences in points.
        most: the largest value it can have.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    percent: bool
    most: float = 1.0

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is: `sign` times a gain is positive."""
        return 1 if self.better == "higher" else -1

    def improves(self, value: float, on: float) -> bool:
        """Whether `value` is better than `on`; nan improves on nothing, and every number improves on nan."""
        return bool(self.sign * (value - on) > 0 or (np.isnan(on) and not np.isnan(value)))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "higher", percent=True),
        Metric("top5", "top-5 accuracy", "higher", percent=True),
        Metric("auc", "ROC AUC", "higher", percent=True),
        Metric("f1", "macro F1", "higher", percent=True),
        Metric("log_loss", "log loss", "lower", percent=False, most=np.inf),
        Metric("ece", "calibration error", "lower", percent=False),
    )
}


def defined(classes: int) -> list[str]:
    """The metrics that say something of so many classes: "top5" only of more than five."""
    return [name for name in METRICS if name != "top5" or classes > TOP]


class Scorer:
    """All metrics of one set of predictions, prepared once to be taken under many weights.

        accuracy   the share of pictures whose class has the highest probability
        top5       the share whose class is among the five highest
        auc        two classes: P(s+ > s-) + P(s+ = s-) / 2, s the probability of class 1; more: the mean over one
                   class against the rest, of the classes that have pictures of both kinds
        f1         the mean over classes of 2 TP / (2 TP + FP + FN), of the classes that were seen or predicted
        log_loss   the mean of -ln p(truth)
        ece        sum over 15 bins of equal width of the highest probability: |hits - sum of that probability| / N

    Of equal probabilities the first class counts as the higher one. A probability of 0 for the truth counts as
    2.2e-308, a loss of 708, so that one picture does not make all others meaningless.

    Args:
        probabilities: (N, C), rows sum to 1, C >= 2.
        labels: (N,) integers 0..C-1, the truth.

    Raises:
        ArrayError: no pictures, a shape that does not fit, or rows that are no probabilities (nan among them).
        LabelError: labels that are no classes.

    Source:
        Fawcett 2006, An introduction to ROC analysis (AUC, F1). Guo et al. 2017, On calibration of modern neural
        networks, arXiv:1706.04599, eq. 3 (ECE).
    """

    def __init__(self, probabilities: ArrayLike, labels: ArrayLike) -> None:
        self._probabilities, self._labels = _checked(probabilities, labels)
        self.classes = self._probabilities.shape[1]
        self._predicted: Integers = self._probabilities.argmax(1)
        self._hit = self._predicted == self._labels
        self._of_truth: Floats = np.take_along_axis(self._probabilities, self._labels[:, None], 1)[:, 0]

    def all(self, weights: ArrayLike | None = None) -> dict[str, float]:
        """Every metric that is `defined` for these classes, under (N,) weights >= 0; None weighs all alike."""
        checked = self._weights(weights)
        return {name: self._score(name, checked) for name in defined(self.classes)}

    def score(self, name: str, weights: ArrayLike | None = None) -> float:
        """One metric, by its name in `METRICS`.

        Raises:
            ConfigError: no such metric, or one that says nothing of so few classes.
        """
        check_known("score", "metric", name, defined(self.classes))
        return self._score(name, self._weights(weights))

    def per_class(self, weights: ArrayLike | None = None) -> list[dict[str, Any]]:
        """{"pictures", "precision", "recall", "f1", "auc"} of each class against the rest; nan where not defined."""
        checked = self._weights(weights)
        hits, seen, predicted = self._counts(checked)
        columns = {
            "pictures": np.rint(seen).astype(int) if weights is None else seen,
            "precision": _divide(hits, predicted),
            "recall": _divide(hits, seen),
            "f1": _divide(2 * hits, seen + predicted),
            "auc": self._aucs(checked),
        }
        return [
            dict(zip(columns, row, strict=True))
            for row in zip(*(column.tolist() for column in columns.values()), strict=True)
        ]

    def reliability(self) -> list[dict[str, Any]]:
        """How often each confidence was right, bin by bin: what the ECE is the sum of.

        Returns:
            {"low", "high", "count", "confidence", "accuracy"} of each bin (low, high], the last two the means over its
            pictures, None where it has none.
        """
        counts = np.bincount(self._bins, minlength=ECE_BINS)
        means = (
            _divide(np.bincount(self._bins, values, ECE_BINS), counts)
            for values in (self._probabilities.max(1), self._hit)
        )
        return [
            {
                "low": b / ECE_BINS,
                "high": (b + 1) / ECE_BINS,
                "count": n,
                "confidence": sure if n else None,
                "accuracy": right if n else None,
            }
            for b, (n, sure, right) in enumerate(zip(counts.tolist(), *(mean.tolist() for mean in means), strict=True))
        ]

    def _score(self, name: str, weights: Floats) -> float:
        return float(getattr(self, f"_{name}")(weights))

    def _accuracy(self, weights: Floats) -> float:
        return weights[self._hit].sum() / weights.sum()

    def _top5(self, weights: Floats) -> float:
        return weights[self._among_top].sum() / weights.sum()

    def _auc(self, weights: Floats) -> float:
        if self.classes == 2:
            return self._ranking(1).auc(weights) if weights is self._alike else self._rankings[1].auc(weights)
        return _mean(self._aucs(weights))

    def _aucs(self, weights: Floats) -> Floats:
        """(C,) of each class against the rest. Rankings take much memory: resamples alone keep them."""
        once = weights is self._alike and "_rankings" not in vars(self)
        rankings = map(self._ranking, range(self.classes)) if once else self._rankings
        return np.array([ranking.auc(weights) for ranking in rankings])

    def _f1(self, weights: Floats) -> float:
        hits, seen, predicted = self._counts(weights)
        return _mean(_divide(2 * hits, seen + predicted))

    def _log_loss(self, weights: Floats) -> float:
        return weights @ self._losses / weights.sum()

    def _ece(self, weights: Floats) -> float:
        gaps = np.bincount(self._bins, weights * self._gaps, ECE_BINS)
        return np.abs(gaps).sum() / weights.sum()

    def _counts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """(C,) weights of the hits, of the pictures, and of the predictions of each class."""
        hits = np.bincount(self._labels[self._hit], weights[self._hit], self.classes)
        seen = np.bincount(self._labels, weights, self.classes)
        return hits, seen, np.bincount(self._predicted, weights, self.classes)

    @cached_property
    def _rankings(self) -> list[Ranking]:
        return [self._ranking(c) for c in range(self.classes)]

    def _ranking(self, c: int) -> Ranking:
        """Of a class against the rest."""
        return Ranking(self._probabilities[:, c], self._labels == c)

    @cached_property
    def _alike(self) -> Floats:
        return np.ones(len(self._labels))

    @cached_property
    def _among_top(self) -> NDArray[np.bool_]:
        mine = self._of_truth[:, None]
        earlier = np.arange(self.classes) < self._labels[:, None]
        above = (self._probabilities > mine) | ((self._probabilities == mine) & earlier)
        return above.sum(1) < TOP

    @cached_property
    def _losses(self) -> Floats:
        return -np.log(np.maximum(self._of_truth, _TINY))

    @cached_property
    def _bins(self) -> Integers:
        """Bin m holds the probabilities in ((m - 1) / 15, m / 15]."""
        highest = np.ceil(self._probabilities.max(1) * ECE_BINS).astype(np.int64) - 1
        return highest.clip(0, ECE_BINS - 1)

    @cached_property
    def _gaps(self) -> Floats:
        return self._hit - self._probabilities.max(1)

    def _weights(self, weights: ArrayLike | None) -> Floats:
        if weights is None:
            return self._alike
        found = np.asarray(weights, np.float64)
        if found.shape != self._labels.shape or not (found >= 0).all() or not 0 < found.sum() < np.inf:
            raise ArrayError(
                f"metrics: weights must be one number >= 0 for each of {len(self._labels)} pictures, not all 0. "
                f"Got shape {found.shape}. Pass how often each picture counts."
            )
        return found


class Ranking:
    """Scores of two kinds of pictures, sorted once: their ROC AUC under any weights.

        AUC = sum_+ w+ (sum of w- below s+, and half of w- at s+) / (sum w+ * sum w-)

    the chance that a picture of the kind scores above one that is not of it, ties counted half; for whole weights exact
    up to one division.

    Args:
        scores: (N,) floating, higher for more of the kind.
        positive: (N,) bool, which are of the kind.

    Source:
        Hanley & McNeil 1982, The meaning and use of the area under a ROC curve (its equality with Wilcoxon's W).
    """

    def __init__(self, scores: Floats, positive: NDArray[np.bool_]) -> None:
        self._positive, self._negative = (_sorted_by(scores, np.flatnonzero(kind)) for kind in (positive, ~positive))
        mine, others = scores[self._positive], scores[self._negative]
        self._first = np.searchsorted(others, mine, "left").astype(_NUMBER)
        self._last = np.searchsorted(others, mine, "right").astype(_NUMBER)

    def auc(self, weights: Floats) -> float:
        """0..1, under (N,) weights >= 0; nan unless both kinds weigh something."""
        own = weights[self._positive]
        below = np.zeros(len(self._negative) + 1)
        np.cumsum(weights[self._negative], out=below[1:])
        pairs = own.sum() * below[-1]
        return float(own @ (below[self._first] + below[self._last]) / (2 * pairs)) if pairs > 0 else float("nan")


def scores(probabilities: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> dict[str, float]:
    """All metrics that are `defined`, by name; see `Scorer`."""
    return Scorer(probabilities, labels).all(weights)


def score(name: str, probabilities: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """One metric; see `Scorer`."""
    return Scorer(probabilities, labels).score(name, weights)


def per_class(probabilities: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> list[dict[str, Any]]:
    """{"pictures", "precision", "recall", "f1", "auc"} of each class, in their order; see `Scorer`."""
    return Scorer(probabilities, labels).per_class(weights)


def _checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[Floats, Integers]:
    rows, truth = np.asarray(probabilities, np.float64), np.asarray(labels)
    if rows.ndim != 2 or rows.shape[1] < 2 or len(rows) == 0 or truth.shape != (len(rows),):
        raise ArrayError(
            "metrics: probabilities must be (N, C) with C >= 2, and labels (N,), N >= 1. "
            f"Got {rows.shape} and {truth.shape}. Pass one row and one label for each picture."
        )
    wrong = np.flatnonzero(~((rows.min(1) >= 0) & (abs(rows.sum(1) - 1) < 1e-3)))  # nan is in no range
    if len(wrong):
        raise ArrayError(
            "metrics: each row must be probabilities, from 0 to 1 and 1 in all. "
            f"Got {rows[wrong[0]].tolist()[:5]} in row {wrong[0]}, {len(wrong)} rows in all. "
            "Pass the softmax of the logits, of a network whose weights are finite."
        )
    if truth.dtype.kind not in "iu" or not (truth.min() >= 0 and truth.max() < rows.shape[1]):
        raise LabelError(
            f"metrics: labels must be whole numbers from 0 to {rows.shape[1] - 1}. "
            f"Got {truth.dtype} from {truth.min()} to {truth.max()}. Pass the numbers of the classes."
        )
    return rows, truth.astype(np.int64)


def _sorted_by(scores: Floats, numbers: Integers) -> Integers:
    return numbers[np.argsort(scores[numbers])].astype(_NUMBER)


def _divide(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _mean(values: Floats) -> float:
    """Of those that are defined; nan where none is."""
    found = values[~np.isnan(values)]
    return float(found.mean()) if len(found) else float("nan")
