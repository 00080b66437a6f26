"""CutMix: sides, places, clipping."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade as cf
from crossfade.mixing.box import _span


def test_the_weight_is_the_counted_share():
    plan = cf.CutMix().plan((64, 7, 13), rng=0)
    top, left, bottom, right = plan.box[:, 1].T
    np.testing.assert_array_equal(plan.weight[:, 1], (bottom - top) * (right - left) / 91)
    assert (plan.opacity == 1).all()


def test_sides_follow_the_equation_inside():
    """r_h = H sqrt(1 - lambda), rounded to nearest."""
    side = np.sqrt(1 - np.linspace(0, 1, 101))
    for size in (1, 7, 13, 224):
        start, stop = _span(size, side, np.full(101, 0.5), True)
        np.testing.assert_allclose(stop - start, size * side, atol=0.5)


def test_the_share_drawn_and_the_share_pasted_agree_on_large_pictures():
    """inside=True on 1000 x 1000: the box has 1 - lambda of the pixels, but for rounding."""
    lam = np.random.default_rng(5).beta(0.7, 0.7, size=50)
    side = np.sqrt(1 - lam)
    start, stop = _span(1000, side, np.random.default_rng(6).random(50), True)
    np.testing.assert_allclose(((stop - start) / 1000) ** 2, 1 - lam, atol=2e-3)


def test_clipped_boxes_are_centred_where_the_place_says():
    start, stop = _span(10, np.array([0.4, 0.4, 0.4, 1.0]), np.array([0.0, 0.5, 0.99999, 0.5]), False)
    assert list(zip(start.tolist(), stop.tolist(), strict=True)) == [(0, 2), (3, 7), (8, 10), (0, 10)]


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("side", [0.0, 1e-9, 0.5, 1.0])
def test_the_ends_of_the_range_stay_in_the_picture(inside, place, side):
    for size in (1, 2, 7, 13, 97):
        start, stop = _span(size, np.array([side]), np.array([place]), inside)
        assert 0 <= start <= stop <= size
        if inside:
            assert stop - start == int(size * side + 0.5)


def test_inside_boxes_are_never_smaller_than_drawn():
    assert cf.CutMix(inside=True).plan((500, 9, 9), rng=0).lam.mean() < cf.CutMix().plan((500, 9, 9), rng=0).lam.mean()


@pytest.mark.parametrize("value", ["no", "yes", 1, 0.0, None])
def test_inside_is_true_or_false(value):
    with pytest.raises(cf.PlanError, match="inside"):
        cf.CutMix(inside=value)


def test_one_pixel():
    plan = cf.CutMix().plan((40, 1, 1), rng=0)
    assert set(plan.lam.tolist()) == {0.0, 1.0}
