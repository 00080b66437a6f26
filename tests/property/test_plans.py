"""Any legal plan, and any plan of a policy: shares, sums, disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossfade as cf
from crossfade.mixing import reference
from crossfade.mixing.plan import Plan
from tests.strategies import alphas, plans, policies, shapes

seeds = st.integers(0, 2**32)


@given(plans())
def test_visible_shares_are_the_references(plan):
    np.testing.assert_allclose(plan.visible(), reference.visible(plan), rtol=0, atol=1e-12)


@given(plans(opaque=True, masks=False))
def test_opaque_boxes_are_counted_exactly(plan):
    """No tolerance: whole pixels over the whole area."""
    np.testing.assert_array_equal(plan.visible(), reference.visible(plan))
    height, width = plan.shape[1:]
    painted = np.zeros(plan.shape, int)
    for i in range(len(plan)):
        for k, (top, left, bottom, right) in enumerate(plan.box[i]):
            painted[i, top:bottom, left:right] = k
    counts = np.stack([(painted == k).sum(axis=(1, 2)) for k in range(plan.layers)], axis=1)
    np.testing.assert_array_equal(plan.visible(), counts / (height * width))
    np.testing.assert_array_equal(plan.dominant(), painted)


@given(plans())
def test_weights_are_never_negative_and_sum_to_one(plan):
    assert (plan.weight >= 0).all()
    np.testing.assert_allclose(plan.weight.sum(axis=1), 1, rtol=0, atol=1e-12)


@given(plans(fills=False))
def test_the_weight_is_what_is_visible(plan):
    np.testing.assert_array_equal(plan.weight, plan.visible())


@given(plans())
def test_to_disk_and_back(plan):
    assert Plan.from_json(plan.to_json()) == plan


@given(plans())
def test_a_plan_can_always_say_itself(plan):
    lines = plan.describe(samples=len(plan)).splitlines()
    assert len(lines) == len(plan) + 1
    for i, line in enumerate(lines[1:]):
        assert line.split()[0] == str(i)


@given(policies(), shapes(), seeds)
def test_policies_draw_legal_plans_whose_weights_are_counted(policy, shape, seed):
    labels = np.random.default_rng(seed).integers(0, 3, shape[0])
    plan = policy.plan(shape, rng=seed, labels=labels)
    assert plan.shape == shape
    np.testing.assert_allclose(plan.weight, plan.visible(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(plan.weight, reference.visible(plan), rtol=0, atol=1e-12)
    assert plan == policy.plan(shape, rng=seed, labels=labels)


@given(alphas, shapes(), seeds, st.booleans())
def test_cutmix_weights_are_counted_pixels_exactly(alpha, shape, seed, inside):
    plan = cf.CutMix(alpha, inside=inside).plan(shape, rng=seed)
    np.testing.assert_array_equal(plan.weight, reference.visible(plan))


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
@given(policy=policies(), seed=seeds)
def test_every_policy_takes_every_batch(batch, policy, seed):
    policy.plan((batch, 7, 13), rng=seed, labels=np.arange(batch) % 2)
