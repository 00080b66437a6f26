from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.data.allot import allot, leave_none_empty


def drawn(seed: int, pictures: int, classes: int, groups: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, pictures)
    return rng.integers(0, groups, pictures), labels, rng.random(pictures)


def shares(labels: np.ndarray, classes: int, *of: float) -> np.ndarray:
    """Pictures of each class for parts of these shares, and the rest for the last part."""
    counts = np.bincount(labels, minlength=classes)
    wanted = np.array([np.floor(counts * share) for share in of], np.int64).reshape(len(of), classes)
    return np.concatenate([wanted, [counts - wanted.sum(axis=0)]])


@given(st.integers(0, 999), st.integers(1, 200), st.integers(1, 4), st.integers(1, 80), st.floats(0, 0.5))
def test_groups_stay_whole_and_shares_are_missed_by_a_group_at_most(
    seed: int, pictures: int, classes: int, groups: int, share: float
) -> None:
    group, labels, ranks = drawn(seed, pictures, classes, groups)
    wanted = shares(labels, classes, share)
    parts = allot(group, labels, ranks, wanted)
    assert set(parts.tolist()) <= {0, 1}
    for number in np.unique(group):
        assert len(np.unique(parts[group == number])) == 1
    largest = np.bincount(group).max()
    if classes == 1:
        assert abs((parts == 0).sum() - wanted[0, 0]) < largest or largest == 1


@given(st.integers(0, 999), st.integers(1, 100), st.floats(0, 0.5), st.floats(0, 0.5))
def test_without_groups_every_share_is_exact(seed: int, pictures: int, one: float, other: float) -> None:
    _, labels, ranks = drawn(seed, pictures, 3, 1)
    wanted = shares(labels, 3, one, other)
    parts = allot(np.arange(pictures), labels, ranks, wanted)
    for part in range(3):
        assert np.bincount(labels[parts == part], minlength=3).tolist() == wanted[part].tolist()
    for label in range(3):  # the lowest ranks to the first part
        own = [ranks[(labels == label) & (parts == part)] for part in range(3)]
        assert all(low.max(initial=0) <= high.min(initial=1) for low, high in pairwise(own))


def test_single_pictures_make_up_for_large_groups() -> None:
    """20 of 100 wanted; the group of 30 goes to train, and the single pictures fill what is asked exactly."""
    group = np.concatenate([np.zeros(30, np.int64), np.arange(1, 71)])
    labels = np.zeros(100, np.int64)
    parts = allot(group, labels, np.random.default_rng(0).random(100), np.array([[20], [80]]))
    assert (parts == 0).sum() == 20
    assert (parts[:30] == 1).all()


def test_a_part_left_empty_gets_the_smallest_group() -> None:
    group = np.repeat([0, 1, 2], [5, 4, 3])
    labels = np.zeros(12, np.int64)
    wanted = np.array([[1], [11]])
    parts, empty = leave_none_empty(np.ones(12, np.int64), group, labels, wanted)
    assert parts.tolist() == [1] * 9 + [0] * 3
    assert not len(empty)
    parts, empty = leave_none_empty(np.ones(12, np.int64), np.zeros(12, np.int64), labels, wanted)
    assert (parts == 1).all()
    assert empty.tolist() == [[0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_several_classes_are_divided_evenly(seed: int) -> None:
    """40 patients with pictures of three classes each."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(40), 10)
    labels = rng.integers(0, 3, 400)
    parts = allot(group, labels, rng.random(400), shares(labels, 3, 0.25))
    got = np.bincount(labels[parts == 0], minlength=3) / np.bincount(labels)
    assert np.abs(got - 0.25).max() < 0.08


def test_large_groups_go_first() -> None:
    """In the other order the group of 2 would train, the group of 8 too, and nothing would be left to validate."""
    group = np.repeat([0, 1], [2, 8])
    ranks = np.repeat([0.1, 0.9], [2, 8])
    parts = allot(group, np.zeros(10, np.int64), ranks, np.array([[2], [8]]))
    assert parts.tolist() == [0] * 2 + [1] * 8
