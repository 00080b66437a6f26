"""Chance: streams named by paths, and numbers that belong to a sample."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from scipy import stats

from crossfade.errors import ConfigError
from crossfade.rng import Stream, as_generator, derive_rng, sample_uniforms

GOLDEN_PLAN = 2473484471470796911
GOLDEN_UNIFORMS = [[0.8717790250209325, 0.39887510771242807], [0.8374569064202079, 0.14831494053337735]]


def first(*path: int) -> int:
    return int(derive_rng(*path).integers(2**63))


def test_a_path_is_a_stream_and_repeats():
    assert first(0, Stream.PLAN, 3, 17) == first(0, Stream.PLAN, 3, 17)


def test_no_two_short_paths_share_a_stream():
    paths = [(s, *p) for s in range(5) for n in range(4) for p in itertools.product(range(4), repeat=n)]
    assert len({first(*path) for path in paths}) == len(paths)


def test_a_path_is_never_added_to_the_seed():
    assert first(0, 5) != first(1, 4)
    assert first(0, 1, 0) != first(0, 0, 1)
    assert first(1) != first(1, 0)


@pytest.mark.parametrize("big", [2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1])
def test_large_seeds_are_told_apart(big):
    assert len({first(big), first(big, 0), first(big, 1), first(big % 2**32 + 7), first(0, big % 2**32)}) == 5


def test_a_step_that_numpy_would_split_in_two_is_refused():
    with pytest.raises(ConfigError, match="step of a path"):
        derive_rng(0, 2**32)


@pytest.mark.parametrize("bad", [-1, 1.0, "1", None, True, 2**64, np.float64(1)])
def test_bad_seeds_are_refused(bad):
    with pytest.raises(ConfigError, match="whole number"):
        derive_rng(bad)
    with pytest.raises(ConfigError, match="whole number"):
        derive_rng(0, bad)


def test_numpy_whole_numbers_are_seeds():
    assert first(np.int64(3), np.uint8(2)) == first(3, 2)


def test_stream_numbers_never_change():
    """They are part of what makes a run repeatable."""
    assert {stream.name: stream.value for stream in Stream} == {
        "ORDER": 1, "AUGMENT": 2, "PLAN": 3, "SPLIT": 4, "WEIGHTS": 5, "BOOTSTRAP": 6, "DEMO": 7, "COLLATE": 8,
        "ROBUSTNESS": 9, "TUNE": 10, "LAYER": 11, "PARTNERS": 12,
    }  # fmt: skip


def test_streams_keep_their_numbers_across_versions():
    """Golden values: a change here makes every recorded run unrepeatable."""
    assert first(0, Stream.PLAN, 3, 17) == GOLDEN_PLAN
    assert sample_uniforms([0, 5], 2, 7, Stream.AUGMENT, 1).tolist() == GOLDEN_UNIFORMS


def test_as_generator_takes_a_generator_or_a_seed():
    rng = np.random.default_rng(1)
    assert as_generator(rng) is rng
    assert as_generator(5).random() == derive_rng(5).random()


@pytest.mark.parametrize("bad", [None, 1.5, "0", True, np.random.RandomState(0), random.Random(0)])
def test_as_generator_has_no_default(bad):
    with pytest.raises(ConfigError, match=r"numpy.random.Generator or an int seed"):
        as_generator(bad)


def test_nothing_touches_a_global_generator():
    np.random.seed(0)
    torch.manual_seed(0)
    random.seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate()
    derive_rng(0, 1).random(10)
    sample_uniforms([1, 2], 3, 0)
    assert before == (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate())


def test_uniforms_belong_to_the_sample_not_to_the_batch():
    ids = np.array([5, 0, 99, 2**40, 7])
    together = sample_uniforms(ids, 4, 3, Stream.AUGMENT, 2)
    for i, name in enumerate(ids):
        np.testing.assert_array_equal(sample_uniforms([name], 4, 3, Stream.AUGMENT, 2)[0], together[i])
    np.testing.assert_array_equal(sample_uniforms(ids[::-1], 4, 3, Stream.AUGMENT, 2), together[::-1])
    np.testing.assert_array_equal(sample_uniforms(ids, 2, 3, Stream.AUGMENT, 2), together[:, :2])


@pytest.mark.parametrize("ids", [np.arange(50_000), np.arange(50_000) * 2**20, np.arange(50_000) + 2**62])
def test_uniforms_are_uniform_and_independent(ids):
    drawn = sample_uniforms(ids, 3, 11, 1)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for column in drawn.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(column[:-1], column[1:])[0, 1]) < 0.02
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.02
    squares, _, _ = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=20)
    assert stats.chisquare(squares.ravel()).pvalue > 1e-3


def test_uniforms_of_other_seeds_and_paths_are_others():
    ids = np.arange(1000)
    paths = [(0,), (1,), (0, 0), (0, 1), (0, 1, 0), (1, 1), (2**64 - 1,)]
    drawn = np.array([sample_uniforms(ids, 1, *path)[:, 0] for path in paths])
    assert np.abs(np.corrcoef(drawn) - np.eye(len(paths))).max() < 0.15
    assert len(np.unique(drawn)) == drawn.size


@pytest.mark.parametrize("bad", [[-1], np.array([-1]), [1.5], ["a"], [True]])
def test_bad_ids_are_refused(bad):
    with pytest.raises(ConfigError, match="ids are whole numbers"):
        sample_uniforms(bad, 1, 0)
