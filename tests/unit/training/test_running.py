"""What is counted on the device, against counting by hand and against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as their_confusion
from sklearn.metrics import top_k_accuracy_score

from crossfade.training.running import RunningMean, accuracy, confusion_matrix, hits

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
LABELS = torch.tensor([0, 1, 0])


def test_hits_count_the_label_among_the_k_largest():
    assert hits(LOGITS, LABELS).tolist() == [True, False, False]
    assert hits(LOGITS, LABELS, k=2).tolist() == [True, True, False]
    assert hits(LOGITS, LABELS, k=99).tolist() == [True, True, True]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_accuracy_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    expected = top_k_accuracy_score(labels, logits, k=k)
    assert float(accuracy(torch.tensor(logits), torch.tensor(labels), k=k)) == pytest.approx(expected, abs=1e-6)


def test_confusion_has_the_truth_in_rows():
    matrix = confusion_matrix(torch.tensor([0, 0, 2]), torch.tensor([1, 1, 2]), 3)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_confusion_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    truth, found = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    ours = confusion_matrix(torch.tensor(truth), torch.tensor(found), 5)
    assert np.array_equal(ours.numpy(), their_confusion(truth, found))


def test_the_running_mean_weighs_a_ragged_last_batch_by_its_size():
    values, mean = np.arange(10.0), RunningMean()
    for part in (values[:4], values[4:8], values[8:]):
        mean.add(torch.tensor(part.mean()), len(part))
    assert mean.value == pytest.approx(values.mean())


def test_the_running_mean_adds_in_double():
    mean = RunningMean()
    for value in (1e8, 1.0, 1.0, -1e8):
        mean.add(torch.tensor(value, dtype=torch.float32))
    assert mean.value == 0.5


def test_the_mean_of_nothing_is_no_number():
    assert math.isnan(RunningMean().value)
