"""What check, lr and ablate conclude from numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossfade.experiments.ablate import headline, sentences
from crossfade.experiments.checking.causes import TOO_HIGH, TOO_LOW, learning_rate
from crossfade.experiments.checking.check import Fit
from crossfade.experiments.checking.labels import above_chance, ceiling, neighbours_agree, thumbnails
from crossfade.experiments.lr import best_of, smooth, suggest
from crossfade.experiments.probe import Descent, rising
from crossfade.training.metrics import METRICS


def test_smoothing_has_no_bias_at_its_start() -> None:
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)
    assert smooth([4.0, 2.0], memory=0.5) == pytest.approx([4.0, (0.25 * 4 + 0.5 * 2) / 0.75])


def test_the_rate_rises_by_equal_ratios() -> None:
    factor = rising(1e-4, 1.0, 5)
    assert [factor(step) for step in range(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_a_tenth_of_the_lowest_point_is_suggested() -> None:
    rates = np.geomspace(1e-6, 10, 141)
    losses = 2 + (np.log10(rates) + 1) ** 2 / 10  # lowest at 0.1, a tenth of which comes a few steps late by smoothing
    assert suggest(rates.tolist(), losses.tolist(), exploded=True)["suggestion"] == pytest.approx(0.0045, rel=0.1)
    assert suggest(rates.tolist(), [2.0] * 141, exploded=False)["suggestion"] is None
    assert "exploded at once" in suggest(rates[:8].tolist(), [2.0] * 8, exploded=True)["sentence"]


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_noise_is_not_taken_for_learning(noise: float) -> None:
    rates, rng = np.geomspace(1e-9, 1e-6, 200).tolist(), np.random.default_rng(0)
    losses = np.log(2) + rng.normal(0, noise, (300, 200))
    given = [suggest(rates, row.tolist(), exploded=False)["suggestion"] for row in losses]
    assert sum(value is not None for value in given) <= 3
    falls = np.linspace(0.4, 0, 150).tolist() + np.linspace(0, 1, 50).tolist()
    learned = [suggest(rates, (row + falls).tolist(), exploded=True)["suggestion"] for row in losses]
    assert all(value is not None for value in learned)


def test_a_loss_that_falls_to_the_last_rate_asks_for_larger_ones() -> None:
    rates, losses = np.geomspace(1e-7, 1e-3, 200).tolist(), np.linspace(2, 1, 200).tolist()
    found = suggest(rates, losses, exploded=False)
    assert found["suggestion"] is None
    assert found["sentence"] == "the loss still falls at 0.001, the last rate: pass a larger --high"
    assert suggest(rates, losses, exploded=True)["suggestion"] == pytest.approx(1e-4, rel=0.2), "no number followed"


def test_the_best_of_several_rates() -> None:
    values = {
        "0.1": {"epochs": [1.0, 0.5], "stopped": None},
        "0.01": {"epochs": [1.0, 0.9], "stopped": None},
        "1": {"epochs": [], "stopped": "no number"},
    }
    found = best_of(values)
    assert found["suggestion"] == 0.1
    assert "largest" not in found["sentence"]
    del values["1"]
    assert "largest of them: try 1, too" in best_of(values)["sentence"]
    assert best_of({"1": {"epochs": [], "stopped": "no number"}})["suggestion"] is None


def descent(lr: float, last: float) -> Descent:
    return Descent(lr, [2.0] * 15 + [last] * 5)


@pytest.mark.parametrize(
    ("losses", "cause"),
    [({0.1: 1.9, 1.0: 1.99, 10.0: 0.3}, TOO_LOW), ({0.1: 0.4, 1.0: 2.5, 10.0: math.inf}, TOO_HIGH),
     ({0.1: 1.0, 1.0: 0.5, 10.0: 0.45}, None)],
)  # fmt: skip
def test_a_rate_is_wrong_where_another_falls_clearly_further(losses: dict[float, float], cause: str | None) -> None:
    found = learning_rate([descent(lr, last) for lr, last in losses.items()], 1.0)
    assert (found and found.cause) == cause


def test_the_trend_is_not_that_of_each_step() -> None:
    losses = [1.0, 0.5, 0.6, 0.2, 0.3, 0.1]
    lines = [{"train": {"loss": loss, "accuracy_by_label_weight": 1.0}, "val": {"accuracy": 1.0}} for loss in losses]
    assert Fit(lines).trend < -0.3
    assert Fit(lines[::-1]).trend > 0.3


def test_neighbours_know_labels_that_mean_something() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.normal(size=(120, 10, 12, 3)).astype(np.float32)
    images[:, 2:5] += labels[:, None, None, None]
    features = thumbnails(images)
    assert neighbours_agree(features, labels)[1] < 0.005
    assert neighbours_agree(features, rng.permutation(labels))[1] > 0.01


def test_hits_above_chance() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    assert above_chance(50, labels) > 0.4
    assert above_chance(70, labels) < 1e-3


def test_the_same_picture_under_two_names_sets_a_ceiling() -> None:
    digests = [b"a", b"a", b"a", b"b", b"c"]
    assert ceiling(digests, np.array([0, 0, 1, 1, 0])) == (0.8, 3)
    assert ceiling(digests, np.array([0, 0, 0, 1, 1])) == (1.0, 0)


def arms(**rows: list[list[float]]) -> dict:
    return {name: {"seeds": np.transpose(values).tolist()} for name, values in rows.items()}


def test_mixing_stands_in_for_data_only_where_that_was_shown() -> None:
    few, many = [0.70, 0.71, 0.72], [0.80, 0.815, 0.82]
    shown = arms(none=[few, many], mixup=[[0.805, 0.819, 0.823], [0.85, 0.86, 0.875]])
    *said, last = sentences(["30", "100"], shown, "none", METRICS["accuracy"])
    assert "mixup with 30 pictures a class does as well as none with 100" in said[-1]
    assert "none: from 30 to 100 pictures a class, more data helps: +10.2 points (95% CI 9.4 to 10.9" in said[0]
    assert last.startswith(
        "5 differences were looked at"
    )  # two last steps up, two of mixing, one of more against mixing
    assert headline([60, 200], shown, "none", METRICS["accuracy"]) == "More data helps; mixing helps everywhere."
    not_shown = arms(none=[few, many], mixup=[[0.70, 0.90, 0.80], [0.85, 0.86, 0.87]])
    assert not any("as well as" in one for one in sentences(["30", "100"], not_shown, "none", METRICS["accuracy"]))


def test_of_a_loss_lower_is_better() -> None:
    rows = arms(none=[[0.9, 0.91, 0.92], [0.5, 0.511, 0.52]])
    assert (
        "more data helps: -0.4 log loss (95% CI -0.401 to -0.398, 3 paired seeds; lower is better)"
        in sentences(["1", "2"], rows, "none", METRICS["log_loss"])[0]
    )


def test_seeds_that_are_all_alike_show_nothing() -> None:
    """Their interval has no width, whatever the next seed would give."""
    rows = arms(none=[[0.5, 0.5], [0.75, 0.75]], mixup=[[0.75, 0.75], [0.75, 0.75]])
    said = sentences(["1", "2"], rows, "none", METRICS["accuracy"])
    assert "every one of 2 seeds alike" in said[0]
    assert not any("helps" in one or "as well as" in one for one in said)
    assert headline([2, 4], rows, "none", METRICS["accuracy"]).endswith("that mixing helps was not shown.")
    rows = arms(none=[[0.5, 0.51], [0.75, 0.762]], mixup=[[0.75, 0.762], [0.8, 0.9]])
    said = sentences(["1", "2"], rows, "none", METRICS["accuracy"])
    assert "more data helps" in said[0]
    assert not any("as well as" in one for one in said)


def test_a_gain_that_is_printed_as_nothing_is_none() -> None:
    rows = arms(none=[[0.5, 0.6, 0.7]], mixup=[[0.5004, 0.6005, 0.7006]])
    assert sentences(["all"], rows, "none", METRICS["accuracy"]) == [
        "mixup against none: no difference was shown with all pictures a class"
    ]


def test_the_headline_tells_of_harm_as_well() -> None:
    rows = arms(none=[[0.5, 0.6], [0.8, 0.9]], mixup=[[0.6, 0.701], [0.7, 0.801]])
    assert headline([2, 4], rows, "none", METRICS["accuracy"]).endswith(
        "mixing helps at 1 of 2 places and hurts at 1 of 2 places."
    )


@pytest.mark.parametrize(
    ("mixup", "told"),
    [([[0.6, 0.61], [0.8, 0.812]], "More data helps mixup; that it helps none was not shown;"),
     ([[0.8, 0.81], [0.6, 0.612]], "More data hurts mixup; that it helps none was not shown;"),
     ([[0.6, 0.70], [0.8, 0.600]], "That more data helps was not shown;")],
)  # fmt: skip
def test_the_headline_tells_what_more_data_does_to_each_arm(mixup: list[list[float]], told: str) -> None:
    rows = arms(none=[[0.5, 0.7], [0.7, 0.5]], mixup=mixup)
    assert headline([2, 4], rows, "none", METRICS["accuracy"]).startswith(told)


def test_the_headline_tells_of_arms_that_differ() -> None:
    rows = arms(none=[[0.5, 0.51], [0.7, 0.712]], mixup=[[0.6, 0.61], [0.5, 0.512]])
    assert headline([2, 4], rows, "none", METRICS["accuracy"]).startswith("More data helps none and hurts mixup; ")


def test_one_seed_is_an_anecdote() -> None:
    rows = arms(none=[[0.5], [0.9]], mixup=[[0.6], [0.9]])
    said = sentences(["1", "2"], rows, "none", METRICS["accuracy"])
    assert all("anecdote" in one for one in said)
    assert "was not shown" in headline([2, 4], rows, "none", METRICS["accuracy"])


def test_what_the_headline_alone_claims_is_cautioned_too() -> None:
    """Each step up is within the scatter of the seeds, the whole way is not."""
    rows = [[0.70, 0.71, 0.72], [0.74, 0.73, 0.79], [0.79, 0.81, 0.80]]
    told = sentences(["10", "30", "100"], arms(none=rows), "none", METRICS["accuracy"])
    assert "no difference was shown" in told[0]
    assert headline([30, 90, 300], arms(none=rows), "none", METRICS["accuracy"]) == "More data helps."
    assert told[-1].startswith("2 differences were looked at")
