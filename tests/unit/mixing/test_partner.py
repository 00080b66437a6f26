"""Who is mixed with whom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import crossfade as cf
from crossfade.mixing.partner import RULES, check_rule, draw_partners

LABELS = np.array([0, 1, 0, 2, 1, 0, 3])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_every_partner_is_in_the_batch(rule, batch):
    for seed in range(20):
        partner = draw_partners(rule, batch, rng=rng(seed), labels=LABELS[:batch])
        assert partner.dtype == np.int64
        assert partner.shape == (batch,)
        assert ((partner >= 0) & (partner < batch)).all()


@pytest.mark.parametrize("rule", ["derange", "permute", "roll", "flip", "same_class"])
def test_everybody_is_somebodys_partner_once(rule):
    for seed in range(50):
        partner = draw_partners(rule, 7, rng=rng(seed), labels=LABELS)
        assert sorted(partner) == list(range(7))


@pytest.mark.parametrize("policy", [cf.MixUp(), cf.CutMix()])
@pytest.mark.parametrize("batch", [2, 3, 7, 64])
def test_by_default_nobody_meets_itself(policy, batch):
    for seed in range(100):
        plan = policy.plan((batch, 2, 2), rng=seed)
        assert (plan.source[:, 1] != np.arange(batch)).all()


def test_alone_one_meets_itself():
    assert draw_partners("derange", 1, rng=rng()).tolist() == [0]


def test_derange_meets_every_other_equally_often():
    generator = rng()
    drawn = np.array([draw_partners("derange", 5, rng=generator) for _ in range(8000)])
    for i in range(5):
        counts = np.bincount(drawn[:, i], minlength=5)
        assert counts[i] == 0
        assert stats.chisquare(np.delete(counts, i)).pvalue > 1e-3


def test_permute_is_uniform_and_meets_itself_once_a_batch():
    generator = rng()
    drawn = np.array([draw_partners("permute", 5, rng=generator) for _ in range(8000)])
    assert all(stats.chisquare(np.bincount(column, minlength=5)).pvalue > 1e-3 for column in drawn.T)
    assert abs((drawn == np.arange(5)).sum(axis=1).mean() - 1) < 0.05


def test_roll_and_flip_are_what_they_say():
    assert draw_partners("roll", 4, rng=rng()).tolist() == [3, 0, 1, 2]
    assert draw_partners("flip", 5, rng=rng()).tolist() == [4, 3, 2, 1, 0]


def test_same_class():
    for seed in range(50):
        partner = draw_partners("same_class", 7, rng=rng(seed), labels=LABELS)
        assert (LABELS[partner] == LABELS).all()
        crowded = np.isin(LABELS, [0, 1])
        assert (partner[crowded] != np.arange(7)[crowded]).all()
        assert (partner[~crowded] == np.arange(7)[~crowded]).all()


def test_cross_class_meets_every_sample_of_another_class_equally_often():
    generator = rng()
    drawn = np.array([draw_partners("cross_class", 7, rng=generator, labels=LABELS) for _ in range(4000)])
    assert (LABELS[drawn] != LABELS).all()
    for i in range(7):
        counts = np.bincount(drawn[:, i], minlength=7)
        assert stats.chisquare(counts[LABELS[i] != LABELS]).pvalue > 1e-3


def test_cross_class_in_a_batch_of_one_class():
    assert draw_partners("cross_class", 3, rng=rng(), labels=[5, 5, 5]).tolist() == [0, 1, 2]


def test_labels_may_be_soft_lists_text_or_bools():
    one_hot = np.eye(4)[LABELS]
    for labels in (one_hot, LABELS.tolist(), LABELS.astype("U3"), LABELS.astype(np.uint8), one_hot.astype(bool)):
        for rule in ("same_class", "cross_class"):
            want = draw_partners(rule, 7, rng=rng(3), labels=LABELS)
            np.testing.assert_array_equal(draw_partners(rule, 7, rng=rng(3), labels=labels), want)


@pytest.mark.parametrize("rule", ["same_class", "cross_class"])
def test_missing_or_short_labels(rule):
    with pytest.raises(cf.PlanError, match=f"'{rule}' needs labels. Got none. Pass labels="):
        cf.MixUp(partner=rule).plan((4, 2, 2), rng=0)
    with pytest.raises(cf.PlanError, match=rf"'{rule}' needs 4 labels. Got shape \(3,\)"):
        cf.MixUp(partner=rule).plan((4, 2, 2), rng=0, labels=[0, 1, 2])


@pytest.mark.parametrize("rule", ["same_class", "cross_class"])
def test_labels_that_are_no_numbers(rule):
    with pytest.raises(cf.PlanError, match=f"'{rule}' needs class numbers. Got .*nan"):
        cf.MixUp(partner=rule).plan((3, 2, 2), rng=0, labels=[np.nan, 1, 1])


def test_unknown_rules():
    for refuse in (check_rule, lambda rule: draw_partners(rule, 2, rng=rng())):
        with pytest.raises(cf.PlanError, match="must be one of permute, derange, roll, flip, same_class, cross_class"):
            refuse("random")
    for policy in (cf.MixUp, cf.CutMix):
        with pytest.raises(cf.PlanError, match="Got 'random'"):
            policy(partner="random")


def test_a_class_rule_passes_from_the_call_to_the_plan():
    images, labels = np.zeros((7, 8, 8, 3), np.float32), LABELS
    _, targets = cf.MixUp(1.0, partner="same_class")(images, labels, rng=0, num_classes=4)
    np.testing.assert_allclose(targets, np.eye(4)[labels])
