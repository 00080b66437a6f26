"""What all policies share: shapes, chance, parameters, and being called."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.mixing.policy import check_shape

POLICIES = [cf.NoMix(), cf.MixUp(), cf.CutMix(), cf.OneOf([cf.MixUp(), cf.CutMix()]), cf.Sometimes(cf.MixUp(), 0.5)]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_policy_is_a_small_value(policy):
    assert policy == dataclasses.replace(policy)
    assert hash(policy) == hash(dataclasses.replace(policy))
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.alpha = 3
    assert eval(repr(policy), vars(cf)) == policy


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_chance_enters_by_name_and_repeats(policy):
    assert policy.plan((5, 7, 13), rng=3) == policy.plan((5, 7, 13), rng=3)
    generator = np.random.default_rng(3)
    first = policy.plan((5, 7, 13), rng=generator)
    assert first == policy.plan((5, 7, 13), rng=np.random.default_rng(3))
    if policy != cf.NoMix():
        assert first != policy.plan((5, 7, 13), rng=generator)
    with pytest.raises(TypeError, match="rng"):
        policy.plan((5, 7, 13))
    with pytest.raises(cf.ConfigError, match="rng"):
        policy.plan((5, 7, 13), rng=None)


def test_no_global_generator_is_touched():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for policy in POLICIES:
        policy(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4), rng=0, num_classes=4)
        policy(torch.zeros(4, 3, 8, 8), torch.arange(4), rng=0, num_classes=4)
    assert before == (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


@pytest.mark.parametrize(
    "bad", [5, None, (4, 8), (4, 8, 8, 3), (0, 8, 8), (4, 0, 8), (4, 8, -1), (4.0, 8, 8), "abc", (True, 8, 8)]
)
def test_what_is_no_shape(bad):
    with pytest.raises(cf.PlanError, match=r"a shape is \(B, H, W\)"):
        cf.MixUp().plan(bad, rng=0)


@pytest.mark.parametrize("shape", [(np.int64(4), 8, 8), [4, 8, 8], torch.Size([4, 8, 8])])
def test_what_is_a_shape(shape):
    assert check_shape(shape) == (4, 8, 8)
    assert all(type(n) is int for n in check_shape(shape))


@pytest.mark.parametrize("alpha", [0, -1, -0.0, float("nan"), float("inf"), "1", None, True, 1j, 10**400, [1.0]])
@pytest.mark.parametrize("policy", [cf.MixUp, cf.CutMix])
def test_alpha_must_be_a_finite_number_above_zero(policy, alpha):
    with pytest.raises(
        cf.PlanError, match=rf"{policy.__name__}: alpha must be a finite number above 0, at most 1e9. Got .*\. Try"
    ):
        policy(alpha)


@pytest.mark.parametrize("policy", [cf.MixUp, cf.CutMix])
def test_an_alpha_whose_sums_overflow_is_refused(policy):
    with pytest.raises(cf.PlanError, match="alpha"):
        policy(1.7e308)


@pytest.mark.parametrize("alpha", [1e-300, 1e-8, 1e8, 1e9, 1, np.float32(0.5), np.int64(2)])
@pytest.mark.parametrize("policy", [cf.MixUp, cf.CutMix])
def test_extreme_alphas_give_legal_plans(policy, alpha):
    plan = policy(alpha).plan((200, 7, 13), rng=0)
    assert np.isfinite(plan.weight).all()
    if alpha <= 1e-8 and policy is cf.MixUp:
        assert set(plan.lam.tolist()) == {0.0, 1.0}
        assert 0.3 < plan.lam.mean() < 0.7
    if alpha >= 1e8 and policy is cf.MixUp:
        np.testing.assert_allclose(plan.lam, 0.5, atol=1e-3)


@pytest.mark.parametrize("policy", [cf.MixUp, cf.CutMix])
def test_per_is_sample_or_batch(policy):
    with pytest.raises(cf.PlanError, match=r"per must be one of sample, batch. Got 'pixel'"):
        policy(per="pixel")
    batch = policy(per="batch").plan((6, 32, 32), rng=0)
    assert len(np.unique(batch.opacity[:, 1])) == 1
    assert len(np.unique(batch.box[:, 1], axis=0)) == 1
    sample = policy(per="sample").plan((6, 32, 32), rng=0)
    assert len(np.unique(sample.lam)) > 1


def test_a_policy_of_ones_own_needs_only_draw():
    class Half(cf.Policy):
        """Half of the one before, always."""

        def _draw(self, shape, rng, labels, images):
            assert labels.tolist() == [0, 1]
            assert images.shape == (2, 6, 6, 1)
            return cf.Plan.two_layers(shape, np.roll(np.arange(shape[0]), 1), opacity=0.5)

    images = np.array([0, 100], np.uint8).reshape(2, 1, 1, 1).repeat(6, 1).repeat(6, 2)
    mixed, targets = Half()(images, np.array([0, 1]), rng=0, num_classes=2)
    assert (mixed == 50).all()
    assert (targets == 0.5).all()


def test_a_policy_without_draw_cannot_be():
    with pytest.raises(TypeError, match="abstract"):
        cf.Policy()


class TestCalling:
    """``policy(images, labels, ...)``: drawn and applied."""

    def test_it_is_the_plan_applied(self):
        images, labels = np.random.default_rng(0).random((5, 3, 8, 9), np.float32), np.array([0, 1, 2, 0, 1])
        mixed, targets = cf.CutMix()(images, labels, rng=7, num_classes=3)
        plan = cf.CutMix().plan((5, 8, 9), rng=7)
        np.testing.assert_array_equal(mixed, cf.mix_images(images, plan))
        np.testing.assert_array_equal(targets, cf.mix_targets(labels, plan, num_classes=3))

    @pytest.mark.parametrize(
        "shape", [(2, 3, 8, 9), (2, 1, 8, 9), (2, 4, 8, 9), (2, 8, 9, 3), (2, 8, 9, 1), (2, 5, 5, 4)]
    )
    def test_layouts_that_can_be_told(self, shape):
        layout = "NCHW" if shape[1] < 5 else "NHWC"
        images = np.random.default_rng(0).random(shape)
        told, _ = cf.CutMix()(images, np.arange(2), rng=1, num_classes=2, layout=layout)
        inferred, _ = cf.CutMix()(images, np.arange(2), rng=1, num_classes=2)
        np.testing.assert_array_equal(told, inferred)

    @pytest.mark.parametrize(
        "shape", [(2, 3, 8, 3), (2, 3, 3, 3), (2, 8, 8, 8), (2, 2, 8, 8), (2, 8, 8, 2), (2, 3, 4, 8), (2, 4, 9, 4)]
    )
    def test_layouts_that_cannot(self, shape):
        with pytest.raises(cf.ArrayError, match=r'layout: cannot be told .* Pass layout="NCHW" or "NHWC"'):
            cf.MixUp()(np.zeros(shape), np.arange(2), rng=0, num_classes=2)
        for layout in ("NCHW", "NHWC"):
            cf.MixUp()(np.zeros(shape), np.arange(2), rng=0, num_classes=2, layout=layout)

    def test_unknown_layout(self):
        with pytest.raises(cf.ArrayError, match="nchw"):
            cf.MixUp()(np.zeros((2, 3, 8, 8)), np.arange(2), rng=0, num_classes=2, layout="nchw")

    def test_labels_are_checked_before_anything_is_drawn(self):
        rng = np.random.default_rng(0)
        with pytest.raises(cf.LabelError, match="num_classes"):
            cf.MixUp()(np.zeros((2, 3, 8, 8)), np.arange(2), rng=rng)
        assert rng.random() == np.random.default_rng(0).random()

    def test_soft_labels_need_no_number_of_classes(self):
        _, targets = cf.MixUp()(np.zeros((2, 3, 8, 8)), np.eye(2), rng=0)
        np.testing.assert_allclose(targets.sum(axis=1), 1)

    def test_torch_in_torch_out(self):
        mixed, targets = cf.MixUp(1.0)(torch.rand(4, 3, 8, 8), torch.arange(4), rng=0, num_classes=4)
        assert (mixed.shape, targets.shape, targets.dtype) == ((4, 3, 8, 8), (4, 4), torch.float32)

    def test_a_list_is_no_batch(self):
        with pytest.raises(cf.ArrayError, match=r"needs a NumPy array, .* or a TensorFlow tensor. Got builtins.list"):
            cf.MixUp()([[1]], np.arange(1), rng=0, num_classes=1)
        with pytest.raises(cf.ArrayError, match=r"Got builtins.list. numpy.asarray may help"):
            cf.MixUp()(np.zeros((2, 3, 8, 8)), [0, 1], rng=0, num_classes=2)
