"""MixUp: what is drawn."""

from __future__ import annotations

import numpy as np

import crossfade as cf


def test_two_full_layers_whose_opacity_is_one_minus_lambda():
    plan = cf.MixUp(0.4).plan((64, 7, 13), rng=0)
    assert plan.layers == 2
    assert (plan.box == [0, 0, 7, 13]).all()
    np.testing.assert_array_equal(plan.weight[:, 1], plan.opacity[:, 1].astype(np.float64))
    np.testing.assert_allclose(plan.weight.sum(axis=1), 1, rtol=0, atol=1e-15)


def test_the_weight_is_that_of_the_opacity_that_is_executed():
    """float32, as in the pictures; not the float64 that was drawn."""
    plan = cf.MixUp(1.0).plan((1000, 2, 2), rng=0)
    np.testing.assert_array_equal(plan.lam, 1 - plan.opacity[:, 1].astype(np.float64))


def test_small_alphas_mix_little_and_large_ones_evenly():
    spread = [np.abs(cf.MixUp(alpha).plan((2000, 1, 1), rng=0).lam - 0.5).mean() for alpha in (0.1, 1.0, 10.0)]
    assert spread[0] > 0.4 > spread[1] > 0.2 > spread[2]
