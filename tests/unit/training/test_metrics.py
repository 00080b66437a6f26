"""Metrics against scikit-learn, against counting pairs one by one, and where they are not defined."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from crossfade.errors import ArrayError, ConfigError, LabelError
from crossfade.training.metrics import METRICS, Ranking, Scorer, defined, per_class, score, scores


@st.composite
def predictions(draw, most_classes: int = 8):
    """Rows on a coarse grid, so that ties abound, or continuous ones; labels that may leave classes out."""
    n, classes, seed = draw(st.integers(1, 40)), draw(st.integers(2, most_classes)), draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 4, (n, classes)) if draw(st.booleans()) else rng.random((n, classes)) + 1e-3
    labels = rng.integers(0, draw(st.integers(1, classes)), n)
    counts = rng.integers(0, 4, n)
    counts[rng.integers(n)] += 1
    return rows / rows.sum(1, keepdims=True), labels, counts


def auc_pair_by_pair(marks: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """The slow twin: every pair of a positive and a negative, one after the other."""
    found = total = 0.0
    for i, j in itertools.product(np.flatnonzero(positive), np.flatnonzero(~positive)):
        total += weights[i] * weights[j]
        found += weights[i] * weights[j] * (float(marks[i] > marks[j]) + 0.5 * float(marks[i] == marks[j]))
    return found / total if total else math.nan


@given(predictions())
def test_every_metric_agrees_with_scikit_learn_under_weights(case) -> None:
    rows, labels, counts = case
    found, classes = scores(rows, labels, weights=counts), np.arange(rows.shape[1])
    predicted, kept = rows.argmax(1), counts > 0
    expected = {
        "accuracy": theirs.accuracy_score(labels, predicted, sample_weight=counts),
        "f1": theirs.f1_score(labels[kept], predicted[kept], sample_weight=counts[kept], average="macro"),
        "log_loss": theirs.log_loss(labels, rows, sample_weight=counts, labels=classes),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name
    seen = [c for c in classes if 0 < counts[labels == c].sum() < counts.sum()]
    seen = [c for c in seen if rows.shape[1] > 2 or c == 1]
    each = [theirs.roc_auc_score(labels == c, rows[:, c], sample_weight=counts) for c in seen]
    assert found["auc"] == pytest.approx(np.mean(each) if each else math.nan, nan_ok=True, rel=1e-12)


@given(predictions())
def test_a_weight_counts_a_picture_so_often(case) -> None:
    rows, labels, counts = case
    often = np.repeat(np.arange(len(labels)), counts)
    expected = scores(rows[often], labels[often])
    assert scores(rows, labels, weights=counts) == pytest.approx(expected, nan_ok=True, rel=1e-12, abs=1e-12)
    for found, wanted in zip(
        per_class(rows, labels, weights=counts), per_class(rows[often], labels[often]), strict=True
    ):
        assert found == pytest.approx(wanted, nan_ok=True, rel=1e-12)


@given(predictions(), st.floats(0.01, 100))
def test_only_the_ratios_of_weights_count(case, factor: float) -> None:
    rows, labels, counts = case
    scorer = Scorer(rows, labels)
    assert scorer.all(factor * counts) == pytest.approx(scorer.all(counts), nan_ok=True, rel=1e-9, abs=1e-9)


@given(predictions(most_classes=2))
def test_auc_is_a_count_of_pairs(case) -> None:
    rows, labels, counts = case
    expected = auc_pair_by_pair(rows[:, 1], labels == 1, counts)
    assert score("auc", rows, labels, weights=counts) == pytest.approx(expected, nan_ok=True, rel=1e-14)


def test_auc_of_ties_alone_is_a_half_and_of_an_order_one_or_nothing() -> None:
    positive = np.array([True, True, False])
    one = np.ones(3)
    assert Ranking(np.array([0.5, 0.5, 0.5]), positive).auc(one) == 0.5
    assert Ranking(np.array([0.7, 0.6, 0.5]), positive).auc(one) == 1.0
    assert Ranking(np.array([0.1, 0.2, 0.5]), positive).auc(one) == 0.0
    assert Ranking(np.array([0.5, 0.9, 0.5]), positive).auc(one) == 0.75


def test_auc_of_two_classes_ranks_by_the_second() -> None:
    rows = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    assert score("auc", rows, [0, 1, 1]) == 1.0
    assert score("auc", rows, [1, 0, 0]) == 0.0


@pytest.mark.parametrize("label", [0, 1])
def test_auc_of_one_kind_alone_is_not_defined_and_never_a_half(label: int) -> None:
    rows = np.array([[0.5, 0.5], [0.4, 0.6]])
    assert math.isnan(score("auc", rows, [label, label]))
    assert math.isnan(score("auc", rows, [0, 1], weights=[1 - label, label]))


def test_auc_of_many_classes_leaves_out_those_without_pictures() -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), 60)
    labels = rng.choice([0, 1, 3], 60)
    expected = np.mean([theirs.roc_auc_score(labels == c, rows[:, c]) for c in (0, 1, 3)])
    assert score("auc", rows, labels) == pytest.approx(expected)
    assert math.isnan(per_class(rows, labels)[2]["auc"])


def test_top_five_agrees_with_scikit_learn_and_is_not_said_of_five_classes() -> None:
    rng = np.random.default_rng(0)
    rows, labels, weights = rng.dirichlet(np.ones(9), 200), rng.integers(0, 9, 200), rng.random(200)
    expected = theirs.top_k_accuracy_score(labels, rows, k=5, sample_weight=weights)
    assert score("top5", rows, labels, weights=weights) == pytest.approx(expected)
    assert "top5" not in scores(rows[:, :5] / rows[:, :5].sum(1, keepdims=True), labels % 5)
    assert "top5" in defined(6)


def test_of_equal_probabilities_the_first_class_is_the_higher_one() -> None:
    rows = np.full((7, 7), 1 / 7)
    assert score("top5", rows, np.arange(7)) == pytest.approx(5 / 7)
    assert score("accuracy", rows, np.arange(7)) == pytest.approx(1 / 7)


def test_ece_against_bins_filled_one_by_one() -> None:
    rng = np.random.default_rng(3)
    rows = rng.dirichlet(np.full(3, 0.5), 500)
    labels = np.array([rng.choice(3, p=row) for row in rows])  # calibrated, so that bins miss in both directions
    confidence, hit = rows.max(1), rows.argmax(1) == labels
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            expected += inside.sum() / 500 * abs(hit[inside].mean() - confidence[inside].mean())
    assert score("ece", rows, labels) == pytest.approx(expected)


def test_ece_of_certainty_is_the_share_of_misses() -> None:
    assert score("ece", np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 2]) == pytest.approx(0.25)
    assert score("ece", [[0.75, 0.25]] * 4, [0, 0, 0, 1]) == 0.0


def test_a_bin_holds_its_upper_end() -> None:
    """0.6 = 9/15 belongs to the ninth bin, with 0.55, and not to the tenth, with 0.65."""
    with_lower = score("ece", [[0.6, 0.4], [0.55, 0.45]], [0, 1])
    assert with_lower == pytest.approx(abs(1 - 0.6 - 0.55) / 2)
    assert score("ece", [[0.6, 0.4], [0.65, 0.35]], [0, 1]) == pytest.approx((0.4 + 0.65) / 2)


def test_a_truth_of_probability_zero_does_not_hide_the_others() -> None:
    found = score("log_loss", [[1.0, 0.0], [0.5, 0.5]], [1, 0])
    assert found == pytest.approx((708.396 + math.log(2)) / 2, abs=1e-2)


def test_per_class_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    rows, labels = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    precision, recall, f1, support = theirs.precision_recall_fscore_support(labels, rows.argmax(1))
    for c, found in enumerate(per_class(rows, labels)):
        assert found["pictures"] == support[c]
        assert isinstance(found["pictures"], int)
        assert [found[k] for k in ("precision", "recall", "f1")] == pytest.approx([precision[c], recall[c], f1[c]])
        assert found["auc"] == pytest.approx(theirs.roc_auc_score(labels == c, rows[:, c]))


def test_a_class_never_seen_nor_predicted_has_no_numbers() -> None:
    rows = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    nothing = per_class(rows, [0, 0])[2]
    assert nothing["pictures"] == 0
    assert all(math.isnan(nothing[key]) for key in ("precision", "recall", "f1", "auc"))
    assert score("f1", rows, [0, 0]) == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize(
    ("rows", "labels", "weights", "kind", "words"),
    [
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], None, ArrayError, r"Got \[nan, 0.5\] in row 1, 1 rows in all"),
        ([[np.inf, 0.0]], [0], None, ArrayError, "each row must be probabilities"),
        ([[2.0, -1.0]], [0], None, ArrayError, "each row must be probabilities"),
        ([[3.0, 1.0]], [0], None, ArrayError, "softmax"),
        ([[1.0]], [0], None, ArrayError, "C >= 2"),
        (np.zeros((0, 2)), [], None, ArrayError, "N >= 1"),
        ([[0.5, 0.5]], [0, 1], None, ArrayError, r"Got \(1, 2\) and \(2,\)"),
        ([[0.5, 0.5]], [2], None, LabelError, "from 0 to 1. Got int64 from 2 to 2"),
        ([[0.5, 0.5]], [-1], None, LabelError, "Got int64 from -1 to -1"),
        ([[0.5, 0.5]], [0.0], None, LabelError, "Got float64"),
        ([[0.5, 0.5]], [0], [0.0], ArrayError, "not all 0"),
        ([[0.5, 0.5]] * 2, [0, 1], [2.0, -1.0], ArrayError, "weights must be one number >= 0"),
        ([[0.5, 0.5]] * 2, [0, 1], [np.nan, 1.0], ArrayError, "weights must be one number >= 0"),
        ([[0.5, 0.5]], [0], [1.0, 1.0], ArrayError, r"Got shape \(2,\)"),
    ],
)
def test_what_cannot_be_judged_is_refused(rows, labels, weights, kind, words) -> None:
    with pytest.raises(kind, match=words):
        scores(rows, labels, weights=weights)


def test_unknown_metrics_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean accuracy"):
        score("acuracy", [[0.5, 0.5]], [0])
    with pytest.raises(ConfigError, match="no metric is called 'top5'"):
        score("top5", [[0.5, 0.5]], [0])


def test_which_way_is_better() -> None:
    assert [name for name, metric in METRICS.items() if metric.better == "lower"] == ["log_loss", "ece"]
    assert METRICS["auc"].improves(0.8, on=0.7)
    assert not METRICS["auc"].improves(0.7, on=0.7)
    assert METRICS["log_loss"].improves(0.7, on=0.8)
    assert METRICS["log_loss"].improves(0.8, on=math.nan)
    assert not METRICS["log_loss"].improves(math.nan, on=0.8)
    assert not METRICS["log_loss"].improves(math.nan, on=math.nan)


def test_a_million_rows_take_no_longer_than_elsewhere() -> None:
    """A bound by ratio, since the machine is shared: some 0.6 of scikit-learn's time, where 3 is allowed."""
    rng = np.random.default_rng(0)
    labels, marks = rng.integers(0, 2, 10**6), rng.random(10**6).round(4)
    rows = np.column_stack([1 - marks, marks])
    took = {}
    for who, work in (
        ("ours", lambda: score("auc", rows, labels)),
        ("theirs", lambda: theirs.roc_auc_score(labels, marks)),
    ):
        start = time.perf_counter()
        took[who, work()] = time.perf_counter() - start
    (ours, mine), (_, other) = took
    assert mine == pytest.approx(other, rel=1e-12)
    assert took[ours, mine] < 3 * took["theirs", other]


def test_a_resample_of_a_prepared_set_takes_a_fraction_of_the_first() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.dirichlet(np.ones(10), 10_000), rng.integers(0, 10, 10_000)
    counts = rng.multinomial(10_000, np.full(10_000, 1e-4), size=10)
    scorer = Scorer(rows, labels)
    scorer.all()
    start = time.perf_counter()
    resampled = [scorer.all(count) for count in counts]
    prepared = time.perf_counter() - start
    start = time.perf_counter()
    afresh = [scores(rows, labels, weights=count) for count in counts]
    assert resampled == afresh
    assert prepared < time.perf_counter() - start


def test_importing_it_loads_no_torch() -> None:
    program = "import sys, crossfade.training.metrics; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_many_classes_take_less_memory_than_their_probabilities() -> None:
    """Of 50,000 pictures and 1,000 classes these are 400 MB, and the rankings were as much again."""
    rows, labels = np.random.default_rng(0).random((2000, 500)), np.arange(2000) % 500
    rows /= rows.sum(1, keepdims=True)
    tracemalloc.start()
    try:
        once = scores(rows, labels)
        assert tracemalloc.get_traced_memory()[1] < 0.6 * rows.nbytes
        scorer = Scorer(rows, labels)
        assert scorer.all(np.ones(2000)) == once
        assert tracemalloc.get_traced_memory()[0] < 0.7 * rows.nbytes
    finally:
        tracemalloc.stop()
