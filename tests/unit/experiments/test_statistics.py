"""Intervals and verdicts, against numbers worked out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.experiments.statistics import paired_difference, summarise_arm, t_interval, verdict


def test_t_interval_of_three() -> None:
    """t(0.975, 2 degrees) = 4.302653; mean 2, s = 1."""
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)


def test_t_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for low, high in (t_interval(rng.normal(size=4).tolist()) for _ in range(4000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_one_value_has_no_interval() -> None:
    assert t_interval([0.5]) is None
    assert summarise_arm([0.5])["ci95"] is None


def test_an_accuracy_interval_stays_within_its_range() -> None:
    assert summarise_arm([0.9, 0.99, 0.8])["ci95"][1] == 1.0


def test_pairing_takes_out_what_seeds_have_in_common() -> None:
    base = [0.5, 0.7, 0.9]
    found = paired_difference([b + 0.01 for b in base], base)
    assert found["mean"] == pytest.approx(0.01)
    assert found["ci95"] == pytest.approx((0.01, 0.01))


@pytest.mark.parametrize(
    ("mean", "ci95", "words"),
    [
        (0.02, (0.009, 0.031), "mixup helps: +2.0 points (95% CI 0.9 to 3.1, 3 paired seeds)"),
        (-0.02, (-0.031, -0.009), "mixup hurts: -2.0 points (95% CI -3.1 to -0.9, 3 paired seeds)"),
        (0.02, (-0.01, 0.05), "mixup: no difference was shown, +2.0 points (95% CI -1.0 to 5.0, 3 paired seeds)"),
        (0.02, (0.0, 0.04), "mixup: no difference was shown, +2.0 points (95% CI 0.0 to 4.0, 3 paired seeds)"),
        (0.02, (0.0004, 0.04), "mixup: no difference was shown, +2.0 points (95% CI 0.0 to 4.0, 3 paired seeds)"),
        (0.02, None, "mixup: +2.0 points with one seed, which is an anecdote; run more seeds"),
    ],
)
def test_the_verdict_says_no_more_than_was_shown(mean: float, ci95: tuple | None, words: str) -> None:
    assert verdict({"mixup - none": {"mean": mean, "ci95": ci95, "n": 3}}, "none") == words


def test_each_arm_has_its_sentence() -> None:
    found = {"mean": 0.02, "ci95": (0.01, 0.03), "n": 3}
    assert verdict({"mixup - none": found, "cutmix - none": found}, "none").count("helps") == 2
    assert "only arm" in verdict({}, "none")


def test_a_tie_is_no_difference_and_never_minus_nothing() -> None:
    found = paired_difference([0.667, 0.5], [0.667, 0.5])
    assert verdict({"mixup - none": found}, "none") == (
        "mixup: no difference was shown, +0.0 points (95% CI 0.0 to 0.0, 2 paired seeds)"
    )
    assert "-0.0" not in verdict({"mixup - none": {"mean": -1e-9, "ci95": (-2e-9, 1e-9), "n": 3}}, "none")


def test_differences_all_alike_give_no_interval() -> None:
    found = {"mean": 0.02, "ci95": (0.02, 0.02), "n": 3}
    assert "judge on more pictures" in verdict({"mixup - none": found}, "none")
