"""OneOf, Sometimes, Until, and the merging of plans."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import crossfade as cf
from crossfade.mixing.choice import merge_rows
from crossfade.mixing.plan import Plan

SHAPE = (4, 8, 8)
FULL = [0, 0, 8, 8]


def is_cutmix(plan: Plan) -> np.ndarray:
    """(B,): rows with an opaque upper layer; MixUp(1) has none."""
    return plan.opacity[:, -1] == 1


def test_per_batch_one_policy_draws_the_whole_batch():
    policy = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], weights=[1, 3])
    kinds = [is_cutmix(policy.plan(SHAPE, rng=seed)) for seed in range(2000)]
    assert all(len(set(rows.tolist())) == 1 for rows in kinds)
    share = np.mean([rows[0] for rows in kinds])
    assert stats.binomtest(round(share * 2000), 2000, 0.75).pvalue > 1e-3


def test_per_sample_each_row_is_drawn_on_its_own():
    plan = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], weights=[1, 3], per="sample").plan((8000, 8, 8), rng=0)
    rows = is_cutmix(plan)
    assert stats.binomtest(int(rows.sum()), 8000, 0.75).pvalue > 1e-3
    assert abs(np.corrcoef(rows[1:], rows[:-1])[0, 1]) < 0.05
    np.testing.assert_allclose(plan.weight, plan.visible(), atol=1e-12)


def test_weights_are_equal_by_default_and_may_be_zero():
    plan = cf.OneOf([cf.MixUp(1.0), cf.CutMix()], per="sample").plan((4000, 8, 8), rng=0)
    assert stats.binomtest(int(is_cutmix(plan).sum()), 4000, 0.5).pvalue > 1e-3
    never = cf.OneOf([cf.NoMix(), cf.CutMix()], weights=[1, 0], per="sample").plan((100, 8, 8), rng=0)
    assert (never.lam == 1).all()


def test_weights_are_up_to_a_factor():
    a, b = (cf.OneOf([cf.MixUp(), cf.CutMix()], weights=w, per="sample") for w in ([1, 3], [0.25, 0.75]))
    assert a.plan(SHAPE, rng=5) == b.plan(SHAPE, rng=5)


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_sometimes_per_sample(p):
    lam = cf.Sometimes(cf.MixUp(1.0), p).plan((5000, 2, 2), rng=1).lam
    mixed = int((lam != 1).sum())
    assert mixed == p * 5000 if p in (0, 1) else stats.binomtest(mixed, 5000, p).pvalue > 1e-3


def test_sometimes_per_batch():
    policy = cf.Sometimes(cf.MixUp(1.0), 0.2, per="batch")
    mixed = [(policy.plan(SHAPE, rng=seed).lam != 1) for seed in range(1500)]
    assert all(len(set(rows.tolist())) == 1 for rows in mixed)
    assert stats.binomtest(int(sum(rows[0] for rows in mixed)), 1500, 0.2).pvalue > 1e-3


def test_p_is_not_applied_twice():
    """kornia#4649: both the policy and the wrapper skipped."""
    policy = cf.Sometimes(cf.Sometimes(cf.MixUp(1.0), 0.5), 0.5)
    mixed = int((policy.plan((8000, 2, 2), rng=0).lam != 1).sum())
    assert stats.binomtest(mixed, 8000, 0.25).pvalue > 1e-3


def test_unmixed_samples_keep_their_pixels():
    images = np.random.default_rng(0).random((64, 8, 8, 3))
    plan = cf.Sometimes(cf.MixUp(1.0), 0.3).plan((64, 8, 8), rng=0)
    mixed = cf.mix_images(images, plan)
    np.testing.assert_array_equal((mixed == images).all(axis=(1, 2, 3)), plan.lam == 1)


def test_until():
    policy = cf.Until(cf.MixUp(), 0.8)
    assert policy.at(0) == policy.at(0.79999) == cf.MixUp()
    assert policy.at(0.8) == policy.at(1) == cf.NoMix()
    assert policy.plan(SHAPE, rng=0) == cf.MixUp().plan(SHAPE, rng=0)


def test_until_reaches_through_the_others():
    inner = cf.Until(cf.MixUp(), 0.5)
    one_of, sometimes = cf.OneOf([inner, cf.CutMix()], weights=[1, 3], per="sample"), cf.Sometimes(inner, 0.3)
    assert one_of.at(0.1) == cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[1, 3], per="sample")
    assert one_of.at(0.6) == cf.OneOf([cf.NoMix(), cf.CutMix()], weights=[1, 3], per="sample")
    assert sometimes.at(0.1) == cf.Sometimes(cf.MixUp(), 0.3)
    assert sometimes.at(0.6) == cf.Sometimes(cf.NoMix(), 0.3)
    assert cf.Until(inner, 0.7).at(0.6) == cf.NoMix()
    assert cf.MixUp().at(0.99) == cf.MixUp()


BAD = [
    (lambda: cf.OneOf([]), "needs a list of policies"),
    (lambda: cf.OneOf(cf.MixUp()), "needs a list of policies"),
    (lambda: cf.OneOf(["mixup"]), "needs a list of policies"),
    (lambda: cf.OneOf([cf.MixUp]), "needs a list of policies"),
    (lambda: cf.OneOf("mixup"), "needs a list of policies"),
    (lambda: cf.OneOf([cf.MixUp()], weights=[1, 2]), "needs 1 weights >= 0"),
    (lambda: cf.OneOf([cf.MixUp()], weights=2), "needs 1 weights >= 0"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[1, -1]), "needs 2 weights >= 0"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[0, 0]), "one of them above 0"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[1, float("nan")]), "needs 2 weights"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[1, float("inf")]), "needs 2 weights"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=[1e308, 1e308]), "needs 2 weights"),
    (lambda: cf.OneOf([cf.MixUp(), cf.CutMix()], weights=["a", 1]), "needs 2 weights"),
    (lambda: cf.OneOf([cf.MixUp()], per="epoch"), "per must be one of sample, batch"),
    (lambda: cf.Sometimes(cf.MixUp(), 1.1), "Sometimes: p must be a number from 0 to 1. Got 1.1"),
    (lambda: cf.Sometimes(cf.MixUp(), -0.1), "p must be a number from 0 to 1"),
    (lambda: cf.Sometimes(cf.MixUp(), float("nan")), "p must be a number from 0 to 1"),
    (lambda: cf.Sometimes(cf.MixUp(), True), "p must be a number from 0 to 1"),
    (lambda: cf.Sometimes("mixup", 0.5), "Sometimes: needs a policy"),
    (lambda: cf.Sometimes(cf.MixUp(), 0.5, per="epoch"), "per must be one of"),
    (lambda: cf.Until(cf.MixUp(), 2), "Until: fraction must be a number from 0 to 1. Got 2"),
    (lambda: cf.Until(cf.MixUp, 0.5), "Until: needs a policy"),
]


@pytest.mark.parametrize(("make", "sentence"), BAD)
def test_what_is_refused(make, sentence):
    with pytest.raises(cf.PlanError, match=sentence):
        make()


class TestMergeRows:
    def test_each_row_comes_from_its_plan(self):
        plans = [cf.MixUp(1.0).plan(SHAPE, rng=0), cf.CutMix().plan(SHAPE, rng=1), cf.NoMix().plan(SHAPE, rng=2)]
        choice = np.array([0, 1, 2, 1])
        merged = merge_rows(plans, choice)
        images = np.random.default_rng(0).random((4, 8, 8, 3))
        for i, chosen in enumerate(choice):
            np.testing.assert_array_equal(cf.mix_images(images, merged)[i], cf.mix_images(images, plans[chosen])[i])
            kept = plans[chosen].weight[i]
            assert merged.weight[i].tolist() == [*kept, *[0] * (merged.layers - len(kept))]

    def test_masks_stay_with_their_rows(self):
        mask = np.random.default_rng(0).random(SHAPE).astype(np.float32)
        masked = Plan.two_layers(SHAPE, np.array([1, 0, 3, 2]), mask=mask)
        merged = merge_rows([masked, cf.MixUp(1.0).plan(SHAPE, rng=0), Plan.identity(SHAPE)], np.array([0, 1, 2, 0]))
        np.testing.assert_array_equal(merged.mask[[0, 3]], mask[[0, 3]])
        np.testing.assert_allclose(merged.visible(), merged.weight, atol=1e-7)

    def test_weights_of_their_own_survive(self):
        own = Plan([[0, -1], [1, -1]], np.ones((2, 2)), [[[0, 0, 8, 8], [0, 0, 2, 2]]] * 2, weight=[[1, 0]] * 2)
        merged = merge_rows([own, Plan.identity((2, 8, 8))], np.array([0, 1]))
        assert merged.weight.tolist() == [[1, 0], [1, 0]]
        assert merged.source.tolist() == [[0, -1], [1, 1]]

    def test_fits_are_kept_and_cannot_be_mixed(self):
        def boxed(fit):
            return Plan([[0, 0]], np.ones((1, 2)), [[FULL, [0, 0, 4, 4]]], fit=fit)

        assert merge_rows([boxed("resize"), Plan.identity((1, 8, 8))], np.array([0])).fit == "resize"
        assert merge_rows([boxed("crop"), Plan.identity((1, 8, 8))], np.array([0])).fit == "crop"
        with pytest.raises(cf.PlanError, match=r'cannot share a plan. Use per="batch"'):
            merge_rows([boxed("resize"), boxed("crop")], np.array([0]))
