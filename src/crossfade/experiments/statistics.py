"""What a few seeds can tell: intervals, paired differences, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Interval = tuple[float, float]


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The confidence interval of the mean of independent, roughly normal values; None for fewer than two.

        mean -+ t_{n-1} s / sqrt(n)          s: standard deviation with n - 1

    Source:
        Student 1908, The probable error of a mean.
    """
    from scipy import stats

    n = len(values)
    if n < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return mean - reach, mean + reach


def paired_difference(treated: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """The mean of treated - baseline, seed by seed, with its interval: {"mean", "ci95", "n"}.

    Pairing by seed takes out what both have in common: first weights, order, augmentation, split.
    """
    differences = np.subtract(treated, baseline).tolist()
    return {"mean": float(np.mean(differences)), "ci95": t_interval(differences), "n": len(differences)}


def summarise_arm(scores: Sequence[float]) -> dict[str, Any]:
    """{"seeds", "mean", "ci95"} of one arm's accuracies; what of the interval lies outside 0..1 is cut off."""
    interval = t_interval(scores)
    inside = None if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))
    return {"seeds": list(scores), "mean": float(np.mean(scores)), "ci95": inside}


def verdict(differences: Mapping[str, Mapping[str, Any]], baseline: str) -> str:
    """One sentence for each arm: what the paired differences show, and no more.

    Args:
        differences: {"arm - baseline": {"mean", "ci95", "n"}}, accuracies in 0..1.
        baseline: the arm they are measured against.
    """
    if not differences:
        return f"nothing was compared: {baseline} is the only arm"
    return "; ".join(_sentence(pair.removesuffix(f" - {baseline}"), found) for pair, found in differences.items())


def _sentence(arm: str, found: Mapping[str, Any]) -> str:
    points = f"{_points(found['mean']):+} points"
    if found["ci95"] is None:
        return f"{arm}: {points} with one seed, which is an anecdote; run more seeds"
    low, high = found["ci95"]
    if low == high != 0:
        return f"{arm}: {points} with every one of {found['n']} seeds alike; judge on more pictures for an interval"
    evidence = f"{points} (95% CI {_points(low)} to {_points(high)}, {found['n']} paired seeds)"
    if _points(low) > 0:  # judged as it is printed: "helps ... 0.0 to 3.1" would contradict itself
        return f"{arm} helps: {evidence}"
    if _points(high) < 0:
        return f"{arm} hurts: {evidence}"
    return f"{arm}: no difference was shown, {evidence}"


def _points(difference: float) -> float:
    """In points, one decimal, and never -0.0."""
    return round(100 * difference, 1) + 0.0
