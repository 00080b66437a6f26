"""Two streams, mixed pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

import crossfade as cf
from crossfade.mixing.pairs import across
from crossfade.mixing.plan import Plan


@pytest.mark.parametrize(
    "policy", [cf.MixUp(1.0), cf.CutMix(1.0), cf.NoMix(), cf.OneOf([cf.MixUp(), cf.CutMix()], per="sample")]
)
def test_each_sample_is_mixed_with_its_own_partner_by_its_own_share(policy):
    plan = policy.plan((4, 6, 5), rng=0)
    images = np.zeros((8, 6, 5, 1), np.float32)
    images[4:] = 1  # so that a mixed picture's mean is the share of its partner
    both = across(plan)
    mixed = cf.mix_images(images, both, layout="NHWC")
    targets = cf.mix_targets(np.arange(8), both, num_classes=8)
    assert np.allclose(mixed[:4].mean(axis=(1, 2, 3)), 1 - plan.lam, atol=1e-6)
    assert np.allclose(targets[:4, :4], np.diag(plan.lam))
    assert np.allclose(targets[:4, 4:], np.diag(1 - plan.lam))


def test_the_second_stream_stays_as_it_is():
    plan = across(cf.CutMix().plan((3, 4, 4), rng=1))
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    assert np.array_equal(cf.mix_images(images, plan)[3:], images[3:])
    assert np.array_equal(plan.weight, plan.visible())


def test_a_mask_and_a_constant_fill_come_along():
    mask = np.zeros((1, 4, 4), np.float32)
    mask[:, :2] = 1
    masked = Plan.two_layers((1, 4, 4), np.array([0]), mask=mask)
    assert across(masked).weight.tolist() == [[0.5, 0.5], [1, 0]]
    filled = Plan(np.array([[0, -1]]), np.ones((1, 2)), np.tile([0, 0, 4, 4], (1, 2, 1)), weight=np.array([[1.0, 0.0]]))
    assert across(filled).source.tolist() == [[0, -1], [1, 1]]
