"""Intervals and verdicts, against numbers worked out elsewhere."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from crossfade.experiments import statistics
from crossfade.experiments.statistics import (
    MOST_SEEDS,
    bootstrap_interval,
    paired_difference,
    power,
    seeds_needed,
    summarise_arm,
    t_interval,
    verdict,
)
from crossfade.training.metrics import METRICS
from tests.scale import scaled


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


def test_a_difference_stays_within_what_there_can_be() -> None:
    """Two seeds have a factor of 12.7: 0.5 -+ 4.4 is no interval of accuracies, nor of those of log losses cut off."""
    assert paired_difference([0.9, 0.9], [0.05, 0.75])["ci95"] == (-1.0, 1.0)
    assert paired_difference([0.9, 0.9], [0.05, 0.75], METRICS["log_loss"])["ci95"][1] > 4


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
    found = paired_difference([0.76, 0.77, 0.1], [0.74, 0.75, 0.08])  # alike but for the last bits
    assert found["ci95"][0] < found["ci95"][1]
    assert "judge on more pictures" in verdict({"mixup - none": found}, "none")


def test_scores_that_are_not_defined_make_no_interval() -> None:
    assert summarise_arm([0.5, math.nan])["ci95"] is None
    found = paired_difference([0.5, math.nan], [0.4, 0.4])
    assert math.isnan(found["mean"])
    assert found["ci95"] is found["bootstrap95"] is found["seeds_needed"] is None
    assert "ROC AUC is not defined of every run" in verdict({"mixup - none": found}, "none", METRICS["auc"])


def test_the_interval_of_a_loss_ends_at_zero_and_nowhere_above() -> None:
    low, high = summarise_arm([0.1, 3.0, 0.2], METRICS["log_loss"])["ci95"]
    assert low == 0.0
    assert high > 3


@pytest.mark.parametrize("values", [[0.3, 0.1], [1.0, 2.0, 4.0], [0.1, 0.5, 0.2, 0.9], [3.0, 1, 4, 1, 5, 9]])
def test_the_bootstrap_of_a_few_is_that_of_every_resample(values: list[float]) -> None:
    """The slow twin: all n^n of them."""
    means = np.sort([np.mean(chosen) for chosen in itertools.product(values, repeat=len(values))])
    skipped = math.ceil(0.025 * len(means)) - 1
    expected = means[skipped], means[len(means) - 1 - skipped]
    assert bootstrap_interval(values) == pytest.approx(expected)


def test_the_bootstrap_of_three_is_their_range() -> None:
    assert bootstrap_interval([0.02, -0.01, 0.03]) == pytest.approx((-0.01, 0.03))
    assert bootstrap_interval([0.02]) is None


def test_the_range_of_three_holds_the_mean_three_times_in_four() -> None:
    rng = np.random.default_rng(0)
    drawn = (bootstrap_interval(rng.normal(size=3).tolist()) for _ in range(4000))
    assert np.mean([low <= 0 <= high for low, high in drawn]) == pytest.approx(0.75, abs=0.02)


def test_the_bootstrap_of_many_is_drawn_the_same_each_time_and_near_the_t_interval() -> None:
    values = np.random.default_rng(1).normal(size=60).tolist()
    found = bootstrap_interval(values)
    assert found == bootstrap_interval(values)
    assert found == pytest.approx(t_interval(values), abs=0.04)


def test_drawing_comes_near_to_enumerating(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.3, 0.1, 0.4, 0.15, 0.9, 0.2]
    exact = bootstrap_interval(values)
    monkeypatch.setattr(statistics, "ENUMERATED", 1)
    assert bootstrap_interval(values) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_as_many_pairs_as_the_tables_say(effect: float, n: int) -> None:
    """The sizes that tables of the paired t-test give for 80 % power at 5 %, two-sided."""
    assert power(effect, n - 1) < 0.8 <= power(effect, n)
    differences = np.array([-1.0, 0.0, 1.0]) + effect  # mean `effect`, standard deviation 1
    assert seeds_needed(differences.tolist()) == n
    assert seeds_needed((-differences).tolist()) == n


@pytest.mark.parametrize(("effect", "n"), [(0.0, 5), (1.0, 3), (0.7, 10), (1.5, 6), (-1.0, 8)])
def test_the_power_is_how_often_the_test_finds_it(effect: float, n: int) -> None:
    rng, rounds = np.random.default_rng(2), scaled(20_000, 400_000)
    drawn = rng.normal(effect, 1, (rounds, n))
    marks = drawn.mean(1) / (drawn.std(1, ddof=1) / np.sqrt(n))
    critical = t_interval([0.0, 1.0] + [0.5] * (n - 2))  # any values: its reach in standard errors is the bound
    error = np.std([0.0, 1.0] + [0.5] * (n - 2), ddof=1) / np.sqrt(n)
    found = np.mean(abs(marks) > (critical[1] - 0.5) / error)
    assert power(effect, n) == pytest.approx(found, abs=4 * np.sqrt(0.25 / rounds))


def test_how_many_seeds_it_takes_has_bounds() -> None:
    assert seeds_needed([1e9, 1e9 + 1]) == 2
    assert seeds_needed([-1.0, 1.0001]) == MOST_SEEDS + 1
    assert seeds_needed([0.1]) is None
    assert seeds_needed([0.1, -0.1]) is None
    assert seeds_needed([0.1, 0.1, 0.1]) is None


def test_a_difference_that_was_not_shown_says_how_many_seeds_it_takes() -> None:
    found = paired_difference([0.76, 0.75, 0.78], [0.74, 0.75, 0.74])
    assert found["seeds_needed"] == 10
    assert verdict({"mixup - none": found}, "none") == (
        "mixup: no difference was shown, +2.0 points (95% CI -3.0 to 7.0, 3 paired seeds; "
        "to show a difference of this size, were it real, takes about 10 seeds)"
    )
    hidden = {"mean": 0.001, "ci95": (-0.3, 0.3), "n": 3, "seeds_needed": MOST_SEEDS + 1}
    assert "takes more than 1,000 seeds)" in verdict({"mixup - none": hidden}, "none")
    rounded = {"mean": 0.02, "ci95": (0.0004, 0.04), "n": 9, "seeds_needed": 9}  # nearly shown, and printed as 0.0
    assert "takes" not in verdict({"mixup - none": rounded}, "none")
    shown = {"mean": 0.1, "ci95": (0.05, 0.15), "n": 3, "seeds_needed": 5}
    assert "takes" not in verdict({"mixup - none": shown}, "none")


@pytest.mark.parametrize(
    ("metric", "mean", "ci95", "words"),
    [
        ("auc", 0.02, (0.01, 0.03), "mixup helps: +2.0 points of ROC AUC (95% CI 1.0 to 3.0, 3 paired seeds)"),
        ("f1", -0.02, (-0.03, -0.01), "mixup hurts: -2.0 points of macro F1 (95% CI -3.0 to -1.0, 3 paired seeds)"),
        (
            "log_loss",
            -0.1204,
            (-0.2, -0.04),
            "mixup helps: -0.12 log loss (95% CI -0.2 to -0.04, 3 paired seeds; lower is better)",
        ),
        (
            "ece",
            0.03,
            (0.01, 0.05),
            "mixup hurts: +0.03 calibration error (95% CI 0.01 to 0.05, 3 paired seeds; lower is better)",
        ),
        (
            "log_loss",
            -0.1,
            (-0.2, -0.0004),
            "mixup: no difference was shown, -0.1 log loss (95% CI -0.2 to 0.0, 3 paired seeds; lower is better)",
        ),
        ("log_loss", -0.1, None, "mixup: -0.1 log loss with one seed, which is an anecdote; run more seeds"),
    ],
)
def test_an_arm_helps_where_it_gets_better_whichever_way_that_is(metric, mean, ci95, words) -> None:
    assert verdict({"mixup - none": {"mean": mean, "ci95": ci95, "n": 3}}, "none", METRICS[metric]) == words


def test_a_page_can_part_the_sentences() -> None:
    from crossfade.report.words import sentences

    found = paired_difference([0.1, 0.2, 0.4], [0.1, 0.1, 0.1])
    assert len(sentences(verdict({"a - none": found, "b - none": found}, "none", METRICS["ece"]))) == 2
