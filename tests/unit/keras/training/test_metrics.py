"""MixedAccuracy: the label weight that predictions hit."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import crossfade as cf
from crossfade.errors import ArrayError
from crossfade.keras import MixedAccuracy

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = RNG.integers(4, size=12)


def measured(metric: keras.Metric, labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None):
    metric.reset_state()
    for rows in (slice(0, 5), slice(5, 12)):  # a running mean over batches of two sizes
        metric.update_state(labels[rows], predicted[rows], sample_weight=None if weights is None else weights[rows])
    return float(keras.ops.convert_to_numpy(metric.result()))


@pytest.mark.parametrize("policy", [cf.MixUp(1.0), cf.CutMix(1.0)], ids=str)
def test_it_is_the_mixed_accuracy_of_the_plan(policy: cf.Policy) -> None:
    plan = policy.plan((12, 8, 8), rng=3)
    targets = cf.mix_targets(LABELS, plan, num_classes=4)
    assert measured(MixedAccuracy(), targets, LOGITS) == pytest.approx(
        cf.mixed_accuracy(LOGITS, LABELS, plan), abs=1e-6
    )


def test_of_unmixed_labels_it_is_the_accuracy_however_they_are_written() -> None:
    expected = (LOGITS.argmax(1) == LABELS).mean()
    for labels in (np.eye(4, dtype=np.float32)[LABELS], LABELS, LABELS[:, None], LABELS.astype(np.float32)):
        assert measured(MixedAccuracy(), labels, LOGITS) == pytest.approx(expected)


def test_one_column_is_the_weight_of_class_1() -> None:
    weight = np.array([1, 0, 0.7, 0.7, 0.2, 0.2, 1, 1, 0, 0, 0.5, 0.5], np.float32)
    says_1 = np.array([1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0], bool)
    hit = np.where(says_1, weight, 1 - weight).mean()
    probabilities = np.where(says_1, 0.9, 0.3).astype(np.float32)[:, None]
    assert measured(MixedAccuracy(), weight[:, None], probabilities) == pytest.approx(hit)
    assert measured(MixedAccuracy(), weight, probabilities) == pytest.approx(hit)
    assert measured(MixedAccuracy(threshold=0.0), weight[:, None], probabilities - 0.5) == pytest.approx(hit)


def test_samples_may_weigh_differently() -> None:
    weights = RNG.random(12).astype(np.float32)
    expected = weights[LOGITS.argmax(1) == LABELS].sum() / weights.sum()
    assert measured(MixedAccuracy(), LABELS, LOGITS, weights) == pytest.approx(expected)


def test_it_is_saved_with_a_model() -> None:
    metric = MixedAccuracy(threshold=0.25, name="hits")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert isinstance(again, MixedAccuracy)
    assert (again.threshold, again.name) == (0.25, "hits")


def test_it_counts_in_fit() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", metrics=[MixedAccuracy()])
    targets = np.full((10, 4), 0.1, np.float32) + 0.6 * np.eye(4, dtype=np.float32)[RNG.integers(4, size=10)]
    x = RNG.random((10, 4), dtype=np.float32)
    history = model.fit(x, targets, batch_size=4, verbose=0)
    expected = targets[np.arange(10), model.predict(x, verbose=0).argmax(1)].mean()
    assert history.history["mixed_accuracy"] == [pytest.approx(expected, abs=1e-6)]


@pytest.mark.parametrize(("labels", "predicted"), [((6, 3), (6, 4)), ((6, 4), (6, 2, 4)), ((6, 2), (6, 1))])
def test_shapes_that_do_not_belong_together(labels: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    with pytest.raises(ArrayError, match="one column for each class"):
        MixedAccuracy()(np.zeros(labels, np.float32), np.zeros(predicted, np.float32))
