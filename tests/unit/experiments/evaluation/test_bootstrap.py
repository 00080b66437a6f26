"""Bootstrap intervals: they cover the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from crossfade.experiments.evaluation.bootstrap import wilson, with_intervals
from crossfade.experiments.evaluation.calibration import softmax
from crossfade.training.metrics import Scorer, scores
from tests.scale import scaled


def drawn(rng: np.random.Generator, n: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them."""
    probabilities = softmax(rng.normal(size=(n, classes)))
    return probabilities, (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


def test_values_are_those_of_all_pictures_and_lie_in_their_intervals() -> None:
    probabilities, labels = drawn(np.random.default_rng(0), 400, 7)
    found = with_intervals(Scorer(probabilities, labels), 400, rng=np.random.default_rng(1), resamples=200)
    assert {name: one["value"] for name, one in found.items()} == scores(probabilities, labels)
    for name in ("accuracy", "top5", "auc", "f1", "log_loss"):
        low, high = found[name]["ci95"]
        assert low < found[name]["value"] < high


def test_the_interval_of_an_accuracy_is_as_wide_as_that_of_a_share() -> None:
    """p -+ 1.96 sqrt(p (1 - p) / N)."""
    probabilities, labels = drawn(np.random.default_rng(0), 2000)
    found = with_intervals(Scorer(probabilities, labels), 2000, rng=np.random.default_rng(1))["accuracy"]
    reach = 1.96 * (found["value"] * (1 - found["value"]) / 2000) ** 0.5
    assert found["ci95"] == pytest.approx([found["value"] - reach, found["value"] + reach], abs=0.15 * reach)


def test_the_same_generator_gives_the_same_intervals() -> None:
    scorer = Scorer(*drawn(np.random.default_rng(0), 50))
    one, other = (with_intervals(scorer, 50, rng=np.random.default_rng(3), resamples=50) for _ in range(2))
    assert one == other


def test_one_picture_has_no_interval_and_an_undefined_metric_none() -> None:
    alone = with_intervals(Scorer([[0.4, 0.6]], [1]), 1, rng=np.random.default_rng(0))
    assert {one["ci95"] for one in alone.values()} == {None}
    same = with_intervals(Scorer([[0.4, 0.6], [0.7, 0.3]], [1, 1]), 2, rng=np.random.default_rng(0), resamples=20)
    assert np.isnan(same["auc"]["value"])
    assert same["auc"]["ci95"] is None
    assert same["accuracy"]["ci95"] == pytest.approx([0.0945, 0.9055], abs=1e-4)


def test_twelve_of_twelve_are_not_known_to_be_all() -> None:
    labels = np.arange(12) % 2
    found = with_intervals(Scorer(np.eye(2)[labels], labels), 12, rng=np.random.default_rng(0), resamples=50)
    assert found["accuracy"]["value"] == found["auc"]["value"] == 1
    assert found["accuracy"]["ci95"] == pytest.approx([0.7575, 1], abs=1e-4)
    assert found["auc"]["ci95"] is found["f1"]["ci95"] is found["log_loss"]["ci95"] is None, "no resample has an error"


@pytest.mark.parametrize(("share", "n"), [(0.0, 5), (0.3, 10), (0.985, 200), (1.0, 40)])
def test_the_interval_of_a_share_is_scipys(share: float, n: int) -> None:
    theirs = stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
    assert wilson(share, n) == pytest.approx([theirs.low, theirs.high])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accuracy", "auc", "log_loss"])
def test_intervals_cover_the_truth_as_often_as_they_say(name: str) -> None:
    """The truth is that of a million pictures; each trial judges 300 others."""
    rng = np.random.default_rng(5)
    truth = scores(*drawn(rng, 1_000_000))[name]
    trials = scaled(60, 1500)
    covered = 0
    for _ in range(trials):
        scorer = Scorer(*drawn(rng, 300))
        low, high = with_intervals(scorer, 300, rng=rng, resamples=scaled(200, 600))[name]["ci95"]
        covered += low <= truth <= high
    # Three standard errors of a share of 0.95, and a point for the percentiles of a finite sample.
    assert covered / trials == pytest.approx(0.95, abs=0.01 + 3 * (0.95 * 0.05 / trials) ** 0.5)


def test_copies_in_a_group_say_no_more_than_one_of_them() -> None:
    """Ten pictures of each of 40 patients, all ten alike, are 40 pictures."""
    probabilities, labels = drawn(np.random.default_rng(0), 40)
    groups = np.arange(40).repeat(10)
    one = with_intervals(Scorer(probabilities, labels), 40, rng=np.random.default_rng(1))
    ten = Scorer(probabilities[groups], labels[groups])
    grouped = with_intervals(ten, 400, rng=np.random.default_rng(1), groups=7 * groups)
    for name in ("auc", "f1", "log_loss", "ece"):
        assert [grouped[name]["value"], *grouped[name]["ci95"]] == pytest.approx(
            [one[name]["value"], *one[name]["ci95"]]
        )
    low, high = grouped["accuracy"]["ci95"]
    assert high - low == pytest.approx(np.ptp(one["accuracy"]["ci95"]), rel=0.1)
    alone = with_intervals(ten, 400, rng=np.random.default_rng(1))
    assert np.ptp(alone["accuracy"]["ci95"]) < 0.4 * (high - low)


def test_one_group_has_no_interval() -> None:
    scorer = Scorer(*drawn(np.random.default_rng(0), 30))
    found = with_intervals(scorer, 30, rng=np.random.default_rng(1), groups=np.ones(30, np.int64))
    assert {one["ci95"] for one in found.values()} == {None}


def test_groups_of_one_are_pictures() -> None:
    scorer = Scorer(*drawn(np.random.default_rng(0), 30))
    plain, alone = (
        with_intervals(scorer, 30, rng=np.random.default_rng(1), groups=groups) for groups in (None, np.arange(30))
    )
    assert plain == alone
