"""How far a score may be off because it was measured on these pictures and not on others like them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.training.metrics import Scorer

RESAMPLES = 1000
SHARES = {"accuracy", "top5"}  # of pictures that were named rightly
Z = 1.959963984540054  # the 97.5th percentile of N(0, 1)
_ROUNDING = 1e-12


def with_intervals(
    scorer: Scorer,
    pictures: int,
    *,
    rng: np.random.Generator,
    groups: NDArray[np.int64] | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, Any]]:
    """Every metric with a 95 % interval over pictures: {name: {"value", "ci95"}}.

        w ~ Multinomial(N; 1/N, ..., 1/N)       how often each picture is drawn with replacement
        ci95 = the 2.5th and 97.5th percentile of metric(w) over the resamples; of shares, that of `wilson`

    Pictures of one group (a patient's, say) are no independent evidence: with `groups`, whole groups are drawn, G of G
    with replacement, and a picture counts as often as its group. Then shares have percentiles, too: `wilson` takes
    independent pictures. All intervals are None where there is only one group.

    It holds the chance of which pictures were judged, and none of the training: that takes seeds. "ci95" is None for
    fewer than two pictures, and where a metric is not defined; resamples in which it is not (an AUC of pictures that
    are all of one class) are passed over. It is None, too, where all resamples are alike: of pictures without a single
    error each resample is without one, which says nothing of the next picture. A resampled ECE is on average above
    that of the pictures themselves, as every finite sample's is above the truth: its interval lies high.

    Args:
        scorer: of the pictures.
        pictures: N.
        groups: (N,) equal numbers for pictures of one group; None where each stands alone.

    Source:
        Efron 1979, Bootstrap methods: another look at the jackknife; Efron & Tibshirani 1993, section 13.3; Davison &
        Hinkley 1997, Bootstrap methods and their application, section 3.8 (whole groups).
    """
    of_group = np.arange(pictures) if groups is None else np.unique(groups, return_inverse=True)[1]
    drawable = int(of_group.max()) + 1
    values = scorer.all()
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(resamples if drawable > 1 else 0):
        counts = np.bincount(rng.integers(drawable, size=drawable), minlength=drawable)
        for name, value in scorer.all(counts[of_group]).items():
            drawn[name].append(value)
    found = {name: {"value": value, "ci95": _percentiles(drawn[name])} for name, value in values.items()}
    for name in SHARES & found.keys() if drawable == pictures else ():
        found[name]["ci95"] = wilson(values[name], pictures) if pictures > 1 else None
    return found


def wilson(share: float, n: int) -> list[float]:
    """The 95 % interval of a share of `n` pictures, which has a width even where all were right, or none.

        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)          z = 1.96

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference; Brown, Cai & DasGupta 2001.
    """
    middle, scale = share + Z**2 / (2 * n), 1 + Z**2 / n
    reach = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return [max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)]


def _percentiles(values: list[float]) -> list[float] | None:
    defined = np.array(values)[~np.isnan(values)]
    if not len(defined) or np.ptp(defined) < _ROUNDING:
        return None
    return np.percentile(defined, [2.5, 97.5]).tolist()
