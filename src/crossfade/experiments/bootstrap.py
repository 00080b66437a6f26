"""How far a score may be off because it was measured on these pictures and not on others like them."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossfade.training.metrics import Scorer

RESAMPLES = 1000


def with_intervals(
    scorer: Scorer, pictures: int, *, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, dict[str, Any]]:
    """Every metric with a 95 % percentile interval over pictures: {name: {"value", "ci95"}}.

        w ~ Multinomial(N; 1/N, ..., 1/N)       how often each picture is drawn with replacement
        ci95 = the 2.5th and 97.5th percentile of metric(w) over the resamples

    It holds the chance of which pictures were judged, and none of the training: that takes seeds. "ci95" is None for
    fewer than two pictures, and where a metric is not defined; resamples in which it is not (an AUC of pictures that
    are all of one class) are passed over. A resampled ECE is on average above that of the pictures themselves, as
    every finite sample's is above the truth: its interval lies high.

    Args:
        scorer: of the pictures.
        pictures: N.

    Source:
        Efron 1979, Bootstrap methods: another look at the jackknife; Efron & Tibshirani 1993, section 13.3.
    """
    values = scorer.all()
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(resamples if pictures > 1 else 0):
        counts = np.bincount(rng.integers(pictures, size=pictures), minlength=pictures)
        for name, value in scorer.all(counts).items():
            drawn[name].append(value)
    return {name: {"value": value, "ci95": _percentiles(drawn[name])} for name, value in values.items()}


def _percentiles(values: list[float]) -> list[float] | None:
    defined = np.array(values)[~np.isnan(values)]
    return np.percentile(defined, [2.5, 97.5]).tolist() if len(defined) else None
