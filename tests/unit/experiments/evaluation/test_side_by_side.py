"""What may be said of arms beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from crossfade.errors import ConfigError
from crossfade.experiments.evaluation.side_by_side import side_by_side
from crossfade.report.tables import evaluation_table

DATA = {
    "root": "/pictures",
    "part": "test",
    "pictures": 100,
    "left_out": {"trained_on": 0, "refused": 0, "unknown_class": 0},
    "notes": [],
}


def one(ece: float, noise: float | None = None, **more: Any) -> dict[str, Any]:
    """The evaluation of a run."""
    run: dict[str, Any] = {
        "data": {**DATA, **more},
        "metrics": {name: {"value": value} for name, value in (("accuracy", 0.7), ("log_loss", 0.9), ("ece", ece))},
        "calibration": {"ece_after": 0.02, "log_loss_after": 0.8, "temperature": 1.5},
    }
    if noise is not None:
        curve = {"title": "Noise", "unit": "levels", "strengths": [1, 2], "accuracy": [noise, noise - 0.2]}
        run["robustness"] = {"pictures": 50, "clean": 0.7, "curves": {"noise": curve}}
    return run


def test_means_and_paired_differences_over_seeds() -> None:
    found = side_by_side({"none": [one(0.10), one(0.12)], "mixup": [one(0.05), one(0.08)]}, "none")
    assert (found["part"], found["pictures"]) == ("test", 100)
    assert found["arms"]["mixup"]["metrics"]["ece"]["mean"] == pytest.approx(0.065)
    assert found["differences"]["mixup - none"]["ece"]["mean"] == pytest.approx(-0.045)
    assert found["differences"]["mixup - none"]["ece"]["n"] == 2


def test_a_log_loss_above_one_keeps_its_interval() -> None:
    found = side_by_side({"none": [one(0.1), one(0.1)]}, "none")
    assert found["arms"]["none"]["metrics"]["log_loss"]["ci95"] == pytest.approx((0.9, 0.9))
    assert found["sentences"] == []


def test_the_sentences_say_what_was_shown_and_what_was_not() -> None:
    runs = {
        "none": [one(0.10, 0.50), one(0.12, 0.52), one(0.11, 0.51)],
        "mixup": [one(0.05, 0.60), one(0.071, 0.619), one(0.06, 0.61)],
    }
    *said, unclear, caution = side_by_side(runs, "none")["sentences"]
    assert said[0].startswith("mixup helps: -0.05 calibration error (95% CI ")
    assert "3 paired seeds; lower is better)" in said[0]
    assert said[1].startswith("mixup helps: +10.0 points of accuracy under noise (95% CI ")
    assert unclear == "mixup: no difference was shown in calibration error after temperature scaling, log loss"
    assert caution.startswith("4 differences were looked at")


def test_worse_is_said_as_plainly() -> None:
    runs = {"none": [one(0.05), one(0.061), one(0.07)], "mixup": [one(0.15), one(0.16), one(0.17)]}
    assert side_by_side(runs, "none")["sentences"][0].startswith("mixup hurts: +0.1 calibration error")


def test_one_seed_is_an_anecdote() -> None:
    found = side_by_side({"none": [one(0.1)], "mixup": [one(0.01)]}, "none")["sentences"]
    assert found == ["mixup: one seed is an anecdote; run more seeds to see what it bought besides accuracy"]


def test_runs_judged_by_other_pictures_are_not_compared() -> None:
    with pytest.raises(ConfigError, match=r"Got \[99, 100\] pictures"):
        side_by_side({"none": [one(0.1)], "mixup": [one(0.1, pictures=99)]}, "none")


def test_the_table_of_a_comparison_is_plain_text() -> None:
    runs = {"none": [one(0.1, 0.5), one(0.1, 0.5)], "mixup\x1b[31m": [one(0.1, 0.6), one(0.1, 0.6)]}
    text = evaluation_table(side_by_side(runs, "none"))
    assert text.isascii()
    assert "\x1b" not in text
    assert text.startswith("part test of /pictures: 100 pictures\nleft out: 0 that the run was trained on")
    widths = {len(line.rstrip()) for line in text.split("\n\n")[1].splitlines()}
    assert len(widths) == 1, "the columns stand below each other"
