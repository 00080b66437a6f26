"""Numbers as words, and the plain table."""

from __future__ import annotations

import math

import pytest

from crossfade.report import summary_table
from crossfade.report.words import (
    caption,
    clean,
    duration,
    gap,
    gap_interval,
    label_weights,
    line,
    losses,
    pair,
    percent,
    plural,
    points,
    scored,
    scored_interval,
    signs,
)
from crossfade.training.metrics import METRICS

SUMMARY = {
    "baseline": "none",
    "arms": {
        "none": {"mean": 0.745, "ci95": [0.734, 0.756], "seconds": [61.0, 62.0, 63.0]},
        "mixup": {"mean": 0.765, "ci95": [0.755, 0.775], "seconds": [60.0, 60.0, 60.0]},
        "cutmix:alpha=0.5": {"mean": 0.7349, "ci95": [0.72, 0.75], "seconds": [60.0, 60.0, 60.0]},
    },
    "differences": {
        "mixup - none": {"mean": 0.020, "ci95": [0.009, 0.031], "n": 3},
        "cutmix:alpha=0.5 - none": {"mean": -0.0101, "ci95": [-0.03, 0.01], "n": 3},
    },
    "verdict": "mixup helps: +2.0 points (95% CI 0.9 to 3.1, 3 paired seeds)",
}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.7449, "74.5%"), (0, "0.0%"), (1, "100.0%"), (None, "–"), (math.nan, "–"), ("x", "–"), (True, "–")],
)
def test_percent_has_one_decimal_and_a_dash_for_what_is_no_number(value, said):
    assert percent(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0201, "+2.0"), (-0.013, "−1.3"), (0.0002, "0.0"), (-0.0002, "0.0"), (math.inf, "–")],
)
def test_points_carry_their_sign(value, said):
    assert points(value) == said


def test_what_is_no_share_is_told_as_it_is():
    loss, auc = METRICS["log_loss"], METRICS["auc"]
    assert (scored(0.7449, loss), scored(0.7449, auc), scored(None, loss)) == ("0.745", "74.5%", "–")
    assert (gap(-0.1204, loss), gap(-0.1204, auc), gap(-0.0002, loss), gap(None, loss)) == (
        "−0.120",
        "−12.0",
        "0.000",
        "–",
    )
    assert (scored_interval([0.1, 2.5], loss), scored_interval([0.1, 0.5], auc)) == ("0.100 to 2.500", "10.0 to 50.0%")
    assert (gap_interval([-0.2, 0.1], loss), gap_interval([-0.2, 0.1], auc)) == ("−0.200 to +0.100", "−20.0 to +10.0")
    assert scored_interval(None, loss) == gap_interval([0.1, None], loss) == "–"


def test_intervals():
    share, plain = METRICS["accuracy"], METRICS["log_loss"]
    assert scored_interval([0.734, 0.756], share) == "73.4 to 75.6%"
    assert scored_interval([0.734, 0.756], plain) == "0.734 to 0.756"
    assert gap_interval([-0.009, 0.031], share) == "\u22120.9 to +3.1"
    assert scored_interval(None, share) == gap_interval([None, None], share) == scored_interval("ab", plain) == "–"
    assert pair([0.1, math.nan]) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3.14, "3.1 s"),
        (99.96, "1 min 40 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7300, "2 h 02 min"),
        (None, "–"),
    ],
)
def test_duration(seconds, said):
    assert duration(seconds) == said


def test_captions_name_the_heaviest_first_and_add_up_one_class():
    assert caption([0.28, 0.72], ["daisy", "rose"]) == "0.72 rose / 0.28 daisy"
    assert caption([0.72, 0.28], ["rose", "rose"]) == "1.00 rose"
    assert caption([1.0, 0.0], ["rose", "daisy"]) == "1.00 rose"
    assert label_weights([0.25, 0.25, 0.5], ["a", "b", "a"]) == [("a", 0.75), ("b", 0.25)]


def test_clean_leaves_nothing_that_could_break_a_page_or_turn_its_text_round():
    assert clean("a\x00b\udce9c\u202ed\x1b[1m\u2028") == "a�b�c�d�[1m�"
    assert clean("naïve 薔薇\n👩\u200d🌾") == "naïve 薔薇\n👩\u200d🌾"
    assert line("  a\n\tb  ") == "a b"
    assert line("x" * 99, 10) == "x" * 9 + "…"


def test_plural():
    assert [plural(1, "seed"), plural(2, "seed"), plural(1000, "class", "classes")] == [
        "1 seed",
        "2 seeds",
        "1,000 classes",
    ]


def test_the_table_says_every_number_in_columns_of_one_width():
    table, _, verdict = summary_table(SUMMARY).partition("\n\n")
    head, rule, none, mixup, cutmix = table.split("\n")
    assert head.split() == ["arm", "accuracy", "95%", "CI", "minus", "none", "95%", "CI", "seconds"]
    assert none.split() == ["none", "74.5%", "73.4", "to", "75.6%", "-", "-", "62.0"]
    assert mixup.split() == [
        "mixup",
        "76.5%",
        "75.5",
        "to",
        "77.5%",
        "+2.0",
        "points",
        "+0.9",
        "to",
        "+3.1",
        "60.0",
    ]
    assert cutmix.split()[5:] == ["-1.0", "points", "-3.0", "to", "+1.0", "60.0"]
    assert len({len(row) for row in (head, rule, none, mixup, cutmix)}) == 1
    assert verdict == SUMMARY["verdict"]


def test_the_table_names_its_metric():
    summary = {**SUMMARY, "metric": "log_loss"}
    head, _, none, mixup, *_ = summary_table(summary).split("\n")
    assert head.split()[:3] == ["arm", "log", "loss"]
    assert none.split()[:5] == ["none", "0.745", "0.734", "to", "0.756"]
    assert mixup.split()[5:] == ["+0.020", "+0.009", "to", "+0.031", "60.0"]


def test_the_table_is_ascii_whatever_the_names_are():
    arms = {"none": {"mean": 0.5, "ci95": None, "seconds": []}, "mïx\n\x1b[31m": {"mean": None}}
    table = summary_table({"arms": arms, "verdict": "né"})
    assert table.isascii()
    assert "\x1b" not in table
    assert len(table.split("\n\n")[0].split("\n")) == 4


def test_the_table_of_an_unfinished_comparison_says_so():
    assert summary_table({}).endswith("No verdict yet.")


def test_a_hyphen_before_a_number_is_a_minus_and_no_other_is():
    text = "-4.8 points (-5 to -1) of 16-bit a-1 [-2] --3 2026-01-02 -rf"
    assert signs(text) == "\u22124.8 points (\u22125 to \u22121) of 16-bit a-1 [\u22122] --3 2026-01-02 -rf"


def test_losses_of_many_epochs_are_their_ends_and_small_ones_no_zeros():
    assert losses([2.5, 0.25, 0.000138, None]) == ["2.500", "0.250", "0.00014", "\u2013"]
    assert losses([float(n) for n in range(1, 10)]) == ["1.000", "2.000", "3.000", "…", "7.000", "8.000", "9.000"]
    assert losses("none") == []
