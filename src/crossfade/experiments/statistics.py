"""What a few seeds can tell: intervals, paired differences, how many seeds it takes, and a verdict in words.

docs/methods/statistics.md says why it is done so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossfade.rng import Stream, derive_rng
from crossfade.training.metrics import METRICS, Metric

Interval = tuple[float, float]

ENUMERATED = 8  # seeds up to which every resample is looked at: 6,435 multisets of 8
RESAMPLES = 10_000  # of more seeds
POWER = 0.8
MOST_SEEDS = 1000
_LARGE = 1e3  # standard deviations: a difference that two pairs show with certainty
_ROUNDING = 1e-12  # 0.77 - 0.75 and 0.76 - 0.74 are alike


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The confidence interval of the mean of independent, roughly normal values; None of fewer than two, or of nan.

        mean -+ t_{n-1} s / sqrt(n)          s: standard deviation with n - 1

    Source:
        Student 1908, The probable error of a mean.
    """
    from scipy import stats

    n = len(values)
    if not _enough(values):
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return mean - reach, mean + reach


def bootstrap_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The percentile interval of the mean over resamples with replacement; None of fewer than two values, or of nan.

    Up to `ENUMERATED` values all n^n resamples are looked at, each multiset once with its multiplicity; of more values
    `RESAMPLES` are drawn, always the same. It assumes no shape, but with few values it is too narrow: of three it is
    their range, which holds the mean of a symmetric distribution three times in four.

    Source:
        Efron 1979, Bootstrap methods: another look at the jackknife.
    """
    if not _enough(values):
        return None
    means, share = _resampled_means(np.asarray(values, np.float64))
    order = np.argsort(means)
    means, share, tail = means[order], share[order], (1 - confidence) / 2
    low = np.searchsorted(np.cumsum(share), tail)
    high = np.searchsorted(np.cumsum(share[::-1]), tail)
    return float(means[low]), float(means[::-1][high])


def _resampled_means(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The means of resamples, and the share of all resamples that each stands for."""
    n = len(values)
    if n > ENUMERATED:
        drawn = derive_rng(0, Stream.BOOTSTRAP, n).integers(n, size=(RESAMPLES, n))
        return values[drawn].mean(1), np.full(RESAMPLES, 1 / RESAMPLES)
    chosen = np.array(list(itertools.combinations_with_replacement(range(n), n)))
    counts = (chosen[:, :, None] == np.arange(n)).sum(1)
    orders = [math.factorial(n) // math.prod(map(math.factorial, row)) for row in counts.tolist()]
    return counts @ values / n, np.array(orders) / n**n


def power(effect: float, n: int, level: float = 0.05) -> float:
    """How often the paired two-sided t-test of `n` pairs finds a difference that is there.

        P(|T| > t_{n-1, 1 - level/2}),   T ~ t with n - 1 degrees of freedom and noncentrality effect sqrt(n)

    computed through T^2, which is noncentral F.

    Args:
        effect: the mean of the differences in their standard deviations (Cohen's d_z).
        n: pairs, >= 2.
        level: of the test.

    Source:
        Cohen 1988, Statistical power analysis for the behavioral sciences, chapter 2.
    """
    from scipy import stats

    if effect == 0:  # where SciPy's noncentral F gives nonsense
        return level
    critical = stats.t.ppf(1 - level / 2, n - 1)
    return float(stats.ncf.sf(critical**2, 1, n - 1, min(abs(effect), _LARGE) ** 2 * n))


def seeds_needed(differences: Sequence[float]) -> int | None:
    """How many seeds in all show a difference like this one, were it real, in `POWER` of all comparisons.

    Of the paired t-test at 5 %, two-sided; mean and standard deviation are taken as seen, which of few seeds is rough.

    Returns:
        2 or more, `MOST_SEEDS` + 1 for anything above `MOST_SEEDS`; None where nothing can be said: of fewer than two
        seeds, of no difference, of differences without any spread, of nan.
    """
    if not _enough(differences):
        return None
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if spread < _ROUNDING or abs(mean) < _ROUNDING:
        return None
    enough, short = MOST_SEEDS + 1, 1  # halving: the power grows with n
    while enough - short > 1:
        n = (enough + short) // 2
        enough, short = (n, short) if power(mean / spread, n) >= POWER else (enough, n)
    return enough


def _enough(values: Sequence[float]) -> bool:
    return len(values) >= 2 and not np.isnan(values).any()


def paired_difference(
    treated: Sequence[float], baseline: Sequence[float], metric: Metric = METRICS["accuracy"]
) -> dict[str, Any]:
    """What treated - baseline is, seed by seed: {"mean", "ci95", "bootstrap95", "seeds_needed", "n"}.

    Pairing by seed takes out what both have in common: first weights, order, augmentation, split. What of the interval
    no difference of the metric can reach is cut off.
    """
    differences = np.subtract(treated, baseline).tolist()
    return {
        "mean": float(np.mean(differences)),
        "ci95": _within(t_interval(differences), -metric.most, metric.most),
        "bootstrap95": bootstrap_interval(differences),
        "seeds_needed": seeds_needed(differences),
        "n": len(differences),
    }


def summarise_arm(scores: Sequence[float], metric: Metric = METRICS["accuracy"]) -> dict[str, Any]:
    """{"seeds", "mean", "ci95"} of one arm's scores; what of the interval the metric cannot reach is cut off."""
    inside = _within(t_interval(scores), 0.0, metric.most)
    return {"seeds": list(scores), "mean": float(np.mean(scores)), "ci95": inside}


def _within(interval: Interval | None, least: float, most: float) -> Interval | None:
    return None if interval is None else (max(least, interval[0]), min(most, interval[1]))


def verdict(differences: Mapping[str, Mapping[str, Any]], baseline: str, metric: Metric = METRICS["accuracy"]) -> str:
    """One sentence for each arm: what the paired differences show, and no more.

    Args:
        differences: {"arm - baseline": {"mean", "ci95", "n", "seeds_needed"}}, as `paired_difference` gives them.
        baseline: the arm they are measured against.
        metric: what they are differences of. An arm helps where it gets better, whichever way that is.
    """
    if not differences:
        return f"nothing was compared: {baseline} is the only arm"
    return "; ".join(
        _sentence(pair.removesuffix(f" - {baseline}"), found, metric) for pair, found in differences.items()
    )


def in_words(difference: float, metric: Metric) -> str:
    """A difference of two scores with its sign and unit, such as "+3.1 points"."""
    return f"{_shown(difference, metric):+} {_unit(metric)}"


def claim(what: str, found: Mapping[str, Any], metric: Metric) -> str:
    """What a paired difference shows, in words: "more data helps: +2.0 points (95% CI 0.9 to 3.1, ...)"."""
    if word := outcome(found, metric):
        return f"{what} {word}: {evidence(found, metric)}"
    if not _has_interval(found):
        return evidence(found, metric)
    return f"no difference was shown, {evidence(found, metric, _outlook(found))}"


def evidence(found: Mapping[str, Any], metric: Metric, more: str = "") -> str:
    """A paired difference with its interval, and `more` in the same brackets; without one, why there is none."""
    if math.isnan(found["mean"]):
        return f"{metric.title} is not defined of every run, and nothing was compared"
    change = in_words(found["mean"], metric)
    if found["ci95"] is None:
        return f"{change} with one seed, which is an anecdote; run more seeds"
    if not _has_interval(found):
        return f"{change} with every one of {found['n']} seeds alike; judge on more pictures for an interval"
    low, high = (_shown(end, metric) for end in found["ci95"])
    lower = "; lower is better" if metric.better == "lower" else ""
    return f"{change} (95% CI {low} to {high}, {found['n']} paired seeds{lower}{more})"


def caution(looked: int) -> str:
    """What is to be said where several differences were looked at, and some seem to be there."""
    return f"{looked} differences were looked at; where there is none, one in twenty still seems to be one"


def _sentence(arm: str, found: Mapping[str, Any], metric: Metric) -> str:
    said = claim(arm, found, metric)
    return said if outcome(found, metric) else f"{arm}: {said}"


def _has_interval(found: Mapping[str, Any]) -> bool:
    """Whether seeds differ at all, or agree that there is nothing: else their spread says nothing of the next seed."""
    interval = found["ci95"]
    return interval is not None and not interval[1] - interval[0] < _ROUNDING < abs(interval[0])


def outcome(found: Mapping[str, Any], metric: Metric) -> Literal["helps", "hurts"] | None:
    """What a paired difference shows; None where it shows nothing, or has no interval to show it by.

    Judged as it is printed: "helps ... 0.0 to 3.1" would contradict itself.
    """
    interval = found["ci95"]
    if interval is None or interval[1] - interval[0] < _ROUNDING:
        return None
    low, high = (_shown(end, metric) for end in interval)
    if low <= 0 <= high:
        return None
    return "helps" if (low > 0) == (metric.sign > 0) else "hurts"


def _outlook(found: Mapping[str, Any]) -> str:
    """How many seeds it would take, where that is known and more than there are."""
    needed = found.get("seeds_needed")
    if needed is None or needed <= found["n"]:
        return ""
    return f"; to show a difference of this size, were it real, takes {seeds_in_words(needed)}"


def seeds_in_words(needed: int) -> str:
    """What `seeds_needed` gave: "about 12 seeds"."""
    return f"about {needed:,} seeds" if needed <= MOST_SEEDS else f"more than {MOST_SEEDS:,} seeds"


def _unit(metric: Metric) -> str:
    if metric.name == "accuracy":
        return "points"
    return f"points of {metric.title}" if metric.percent else metric.title


def _shown(difference: float, metric: Metric) -> float:
    """As it is printed: in points with one decimal, else with three; and never -0.0."""
    return (round(100 * difference, 1) if metric.percent else round(difference, 3)) + 0.0
