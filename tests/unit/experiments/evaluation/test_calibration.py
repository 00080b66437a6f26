"""Temperature scaling: it finds a planted temperature, judges no picture by itself, and renames nothing."""

from __future__ import annotations

import numpy as np
import pytest

from crossfade.experiments.evaluation.calibration import (
    COLDEST,
    calibrate,
    crossed_temperatures,
    fit_temperature,
    softmax,
)
from crossfade.training.metrics import Scorer, score


def planted(temperature: float, n: int = 20_000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too large for labels drawn from them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, classes)) * 2
    labels = (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return (logits * temperature).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found(temperature: float) -> None:
    assert fit_temperature(*planted(temperature)) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_is_likelier() -> None:
    logits, labels = planted(2.0, n=300)
    best = fit_temperature(logits, labels)
    losses = [score("log_loss", softmax(logits, t), labels) for t in best * np.array([1, 0.99, 1.01, 0.5, 2])]
    assert min(losses) == losses[0]


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.3, 20.0])
def test_a_temperature_never_changes_what_is_named(temperature: float) -> None:
    logits, _ = planted(3.0)
    assert (softmax(logits, temperature).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_large_logits_do_not_overflow() -> None:
    assert softmax(np.array([[1e4, 0.0]]), 0.05).tolist() == [[1.0, 0.0]]


def test_a_network_that_is_always_right_gets_the_coldest() -> None:
    logits = np.eye(3)[np.arange(30) % 3]
    assert fit_temperature(logits, np.arange(30) % 3) == pytest.approx(COLDEST, rel=1e-3)


def test_no_picture_has_a_say_in_its_own_temperature() -> None:
    logits, labels = planted(2.0, n=41)
    before = crossed_temperatures(logits, labels, np.random.default_rng(1))
    for picture in range(41):
        changed = labels.copy()
        changed[picture] = (changed[picture] + 1) % 5
        after = crossed_temperatures(logits, changed, np.random.default_rng(1))
        assert after[picture] == before[picture]
        assert (after != before).any()


def test_the_bins_hold_every_picture_and_give_the_ece() -> None:
    logits, labels = planted(2.0, n=1000)
    probabilities = softmax(logits)
    bins = Scorer(probabilities, labels).reliability()
    assert sum(one["count"] for one in bins) == 1000
    assert all((one["confidence"] is None) == (one["count"] == 0) for one in bins)
    assert all(one["low"] < one["confidence"] <= one["high"] for one in bins if one["count"])
    ece = sum(one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins if one["count"]) / 1000
    assert ece == pytest.approx(score("ece", probabilities, labels))


def test_calibration_on_other_pictures() -> None:
    found = calibrate(*planted(3.0, n=4000), planted(3.0, n=8000))
    assert found["fitted_on"] == "val"
    assert found["temperature"] == pytest.approx(3, rel=0.05)
    assert found["ece_after"] < found["ece"] / 5
    assert found["log_loss_after"] < found["log_loss"]


def test_calibration_on_halves_of_the_same_pictures_says_so() -> None:
    found = calibrate(*planted(3.0, n=4000), None, rng=np.random.default_rng(0))
    assert found["fitted_on"] == "halves"
    assert found["ece_after"] < found["ece"] / 5


def test_without_pictures_to_fit_on_there_is_no_temperature() -> None:
    found = calibrate(*planted(3.0, n=50), None)
    assert found["temperature"] is found["fitted_on"] is found["ece_after"] is found["bins_after"] is None
    assert found["ece"] > 0
