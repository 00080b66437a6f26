from __future__ import annotations

import numpy as np
import pytest

from crossfade.data import class_weights, match_classes
from crossfade.data.classes import balanced_sample
from crossfade.errors import DataError


def test_classes_are_matched_by_name_not_by_order() -> None:
    assert match_classes(["a", "b", "c"], ["c", "a"]).tolist() == [2, 0]
    assert match_classes(["a", "b"], ["a", "b"]).dtype == np.int64


def test_strangers_are_refused_with_the_nearest_names() -> None:
    with pytest.raises(DataError, match=r"one of the run's 2\. Got 'rosse' \(the run has 'rose'\), 'xyz'\. Rename"):
        match_classes(["daisy", "rose"], ["xyz", "rosse", "daisy"])
    with pytest.raises(DataError, match="'9' and 5 more"):
        match_classes(["daisy", "rose"], [str(n) for n in range(5, 15)])


def test_case_is_a_difference() -> None:
    with pytest.raises(DataError, match=r"'Rose' \(the run has 'rose'\)"):
        match_classes(["daisy", "rose"], ["Rose"])


def test_all_classes_weigh_the_same_and_the_mean_is_one() -> None:
    labels = np.repeat([0, 1, 3], [70, 20, 10])
    weights = class_weights(labels, 4)
    assert weights == pytest.approx([100 / 210, 100 / 60, 0, 100 / 30])
    assert weights[labels].mean() == pytest.approx(1)
    assert np.bincount(labels, weights[labels]) == pytest.approx([100 / 3, 100 / 3, 0, 100 / 3])


def test_a_balanced_sample_has_all_classes_alike() -> None:
    ids = np.arange(100, 200)
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    sample = balanced_sample(ids, labels, np.random.default_rng(0))
    assert len(sample) == 100
    assert sorted(np.bincount(labels[sample - 100])) == [33, 33, 34]
    times = np.bincount(sample - 100, minlength=100)
    assert set(times[:80]) == {0, 1}
    assert set(times[80:95]) == {2, 3}
    assert set(times[95:]) == {6, 7}


def test_balanced_pictures_stay_as_they_are() -> None:
    sample = balanced_sample(np.arange(30), np.repeat([0, 1, 2], 10), np.random.default_rng(0))
    assert sorted(sample) == list(range(30))
