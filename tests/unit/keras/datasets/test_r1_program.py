"""The measurement of R1's program, at a tiny size; its speeds are not tested."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import r1_program

# Keras asks SciPy for a name that SciPy 2 will drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")


def test_the_original_mixes_pair_by_pair_and_survives_its_last_batch(corners):
    batches = r1_program.original(corners, 32, 12)
    assert (batches.n, len(batches)) == (42, 2)
    first, last, again = (batch for batch, _ in zip(batches, range(3), strict=False))
    assert [images.shape[0] for images, _ in (first, last, again)] == [32, 10, 32]
    images, labels = first
    assert images.shape[1:] == (12, 12, 3)
    assert 0 <= images.min() < images.max() <= 1
    assert np.allclose(labels.sum(1), 1)
    assert ((labels > 0).sum(1) == 2).any()


def test_both_see_every_picture_of_an_epoch(corners, monkeypatch):
    monkeypatch.setenv("CROSSFADE_CACHE", "")
    section = r1_program.measure(corners, 32, rounds=2, side=12)
    assert [line.bar for line in section.lines] == [">= 20x", ">= 1x"]
    assert {candidate.name for candidate in section.candidates} == {
        r1_program.OURS, r1_program.FIRST, r1_program.ORIGINAL
    }  # fmt: skip
    assert {len(candidate.seconds) for candidate in section.candidates} == {2}
