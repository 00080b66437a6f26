"""The public functions of labels: targets, loss and accuracy, what they give and what they refuse."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

import crossfade as cf
from crossfade.mixing.plan import Plan
from tests.unit.arrays.samples import LABELS, PLAN, SHAPE, both


class TestTargets:
    def test_the_letter_of_the_design(self):
        plan = cf.MixUp().plan((32, 2, 2), rng=0)
        with pytest.raises(cf.LabelError) as caught:
            cf.mix_targets(np.zeros(32, np.int64), plan)
        assert str(caught.value) == (
            "mix_targets: integer labels need num_classes. Got labels int64 (32,), num_classes=None. "
            "Pass num_classes=10, say."
        )

    @pytest.mark.parametrize("classes", [0, -1, 2.5, "10", True, float("nan")])
    def test_num_classes_is_a_whole_number(self, classes):
        for labels in both(LABELS):
            with pytest.raises(cf.LabelError, match="num_classes must be a whole number from 1 on"):
                cf.mix_targets(labels, PLAN, num_classes=classes)

    def test_labels_outside(self):
        for labels in both(LABELS):
            with pytest.raises(cf.LabelError, match=r"labels must be in 0..1. Got 0..2. Check num_classes"):
                cf.mix_targets(labels, PLAN, num_classes=2)
            with pytest.raises(cf.LabelError, match=r"labels must be in 0..2. Got -1..1"):
                cf.mix_targets(labels - 1, PLAN, num_classes=3)

    def test_wrong_number_of_labels(self):
        for labels in both(LABELS):
            for bad in (labels[:3], labels[:, None, None], labels.reshape(2, 2)[:1]):
                with pytest.raises(
                    cf.LabelError, match=r"needs a label for each of 4 samples, \(B,\) or \(B, C\). Got"
                ):
                    cf.mix_targets(bad, PLAN, num_classes=3)

    @pytest.mark.parametrize("dtype", ["float32", "bool", "complex64"])
    def test_class_numbers_are_whole(self, dtype):
        for labels in (LABELS.astype(dtype), torch.from_numpy(LABELS).to(getattr(torch, dtype))):
            with pytest.raises(cf.LabelError, match=rf"must be class numbers. Got {dtype}. Pass \(B, C\)"):
                cf.mix_targets(labels, PLAN, num_classes=3)

    def test_soft_labels_of_another_number_of_classes(self):
        for labels in both(np.eye(3)[LABELS]):
            with pytest.raises(cf.LabelError, match=r"labels \(4, 3\) have 3 classes. Got num_classes=4"):
                cf.mix_targets(labels, PLAN, num_classes=4)
            cf.mix_targets(labels, PLAN, num_classes=3)

    def test_lists_are_refused_with_a_way_out(self):
        with pytest.raises(cf.ArrayError, match=r"Got builtins.list. numpy.asarray may help"):
            cf.mix_targets([0, 1, 2, 0], PLAN, num_classes=3)

    @pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan"), "a", None])
    def test_bad_smoothing(self, smoothing):
        with pytest.raises(cf.CrossfadeError, match="mix_targets: smoothing"):
            cf.mix_targets(LABELS, PLAN, num_classes=3, smoothing=smoothing)

    @pytest.mark.parametrize("smoothing", [0.1, np.float64(0.1), np.float32(0.1), 1, 0])
    def test_float32_whatever_the_smoothing_is(self, smoothing):
        for labels in both(LABELS):
            got = cf.mix_targets(labels, PLAN, num_classes=3, smoothing=smoothing)
            assert str(got.dtype).endswith("float32")
            np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)

    @pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
    def test_every_whole_type(self, dtype):
        want = cf.mix_targets(LABELS, PLAN, num_classes=np.int64(3))
        for labels in (LABELS.astype(dtype), torch.from_numpy(LABELS).to(getattr(torch, dtype))):
            np.testing.assert_array_equal(cf.mix_targets(labels, PLAN, num_classes=3), want)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
    def test_multi_hot_of_every_type(self, dtype):
        hot = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]])
        want = np.einsum("bk,bkc->bc", PLAN.weight, hot[PLAN.source]).astype(np.float32)
        for labels in (hot.astype(dtype), torch.from_numpy(hot).to(getattr(torch, dtype))):
            got = cf.mix_targets(labels, PLAN)
            assert str(got.dtype).endswith("float32")
            np.testing.assert_allclose(got, want, atol=1e-7)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(B,) for class numbers or soft labels."""
    logged = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -(logged[np.arange(len(labels)), labels] if labels.ndim == 1 else (logged * labels).sum(axis=1))


def stacked_plan() -> Plan:
    """Rows of every kind side by side."""
    return cf.OneOf([cf.CutMix(), cf.MixUp(1.0), cf.NoMix()], per="sample").plan(SHAPE, rng=5)


FILLED = Plan(
    source=[[0, -1, 2], [1, 0, 0], [2, -1, 1], [3, 3, -1]],
    opacity=[[1, 1, 0.5]] * 4,
    box=[[[0, 0, 7, 13], [0, 0, 0, 0], [0, 0, 7, 13]]] * 4,
    weight=[[0.5, 0, 0.5], [0.5, 0, 0.5], [0.25, 0, 0.75], [1, 0, 0]],
)


class TestLoss:
    @pytest.mark.parametrize(
        "plan", [PLAN, stacked_plan(), FILLED, Plan.identity(SHAPE)], ids=["mixup", "stack", "fill", "none"]
    )
    def test_equals_the_loss_against_the_mixed_targets(self, plan):
        logits = np.random.default_rng(0).standard_normal((4, 3))
        for labels in (LABELS, np.random.default_rng(1).dirichlet([1] * 3, 4)):
            want = cross_entropy(logits, cf.mix_targets(labels, plan, num_classes=3).astype(float)).mean()
            assert cf.mixed_loss(cross_entropy, logits, labels, plan) == pytest.approx(want, rel=1e-6)
            loss = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
            got = cf.mixed_loss(loss, torch.from_numpy(logits), torch.from_numpy(labels), plan)
            assert got.shape == ()
            assert float(got) == pytest.approx(want, rel=1e-6)

    def test_gradients_flow(self):
        logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
        loss = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
        cf.mixed_loss(loss, logits, torch.from_numpy(LABELS), PLAN).backward()
        targets = cf.mix_targets(torch.from_numpy(LABELS), PLAN, num_classes=3)
        np.testing.assert_allclose(logits.grad, (logits.softmax(1) - targets).detach() / 4, atol=1e-6)

    @pytest.mark.parametrize(
        "reduced",
        [lambda a, b: 1.0, lambda a, b: np.float64(1), lambda a, b: a, lambda a, b: a[:3, 0], lambda a, b: None],
    )
    def test_reduced_losses_are_refused(self, reduced):
        with pytest.raises(
            cf.ArrayError, match=r"loss_fn must return one loss a sample, \(4,\). Got .*reduction=\"none\""
        ):
            cf.mixed_loss(reduced, np.zeros((4, 3)), LABELS, PLAN)

    def test_reduced_torch_losses_are_refused(self):
        with pytest.raises(cf.ArrayError, match=r"Got \(\)"):
            cf.mixed_loss(torch.nn.functional.cross_entropy, torch.zeros(4, 3), torch.from_numpy(LABELS), PLAN)


class TestAccuracy:
    def test_each_hit_counts_by_its_weight(self):
        plan = Plan.two_layers((2, 1, 4), np.array([1, 0]), box=[[0, 0, 1, 1], [0, 0, 1, 2]])
        for logits, labels in zip(both(np.eye(3)[[2, 1]]), both(np.array([1, 2])), strict=True):
            assert float(cf.mixed_accuracy(logits, labels, plan)) == pytest.approx((0.25 + 0.5) / 2)
            one_hot = np.eye(3)[labels] if isinstance(labels, np.ndarray) else torch.eye(3)[labels]
            assert float(cf.mixed_accuracy(logits, one_hot, plan)) == pytest.approx((0.25 + 0.5) / 2)

    def test_pairs_of_one_class_count_fully(self):
        for logits, labels in zip(both(np.eye(3)[[1, 1, 1, 1]]), both(np.ones(4, int)), strict=True):
            assert float(cf.mixed_accuracy(logits, labels, PLAN)) == pytest.approx(1)

    def test_a_perfect_model_reaches_the_mean_of_the_larger_weights(self):
        labels = np.arange(4)
        best = labels[PLAN.source[np.arange(4), PLAN.weight.argmax(axis=1)]]
        assert cf.mixed_accuracy(np.eye(4)[best], labels, PLAN) == pytest.approx(PLAN.weight.max(axis=1).mean())

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64", "int16"])
    def test_every_whole_type(self, dtype):
        logits = np.eye(3)[[0, 1, 2, 0]]
        want = cf.mixed_accuracy(logits, LABELS, PLAN)
        assert cf.mixed_accuracy(logits, LABELS.astype(dtype), PLAN) == want
        labels = torch.from_numpy(LABELS).to(getattr(torch, dtype))
        assert float(cf.mixed_accuracy(torch.from_numpy(logits), labels, PLAN)) == pytest.approx(want)

    def test_logits_of_another_batch_or_shape(self):
        for logits, labels in (
            (np.zeros((1, 3)), LABELS),
            (np.zeros((5, 3)), LABELS),
            (np.zeros(4), LABELS),
            (np.zeros((4, 3, 2)), LABELS),
        ):
            for pair in ((logits, labels), (torch.from_numpy(logits), torch.from_numpy(labels))):
                with pytest.raises(cf.ArrayError, match=r"mixed_accuracy: .*logits"):
                    cf.mixed_accuracy(*pair, PLAN)

    def test_one_framework(self):
        for pair in ((torch.zeros(4, 3), LABELS), (np.zeros((4, 3)), torch.from_numpy(LABELS))):
            with pytest.raises(cf.ArrayError, match="one framework"):
                cf.mixed_accuracy(*pair, PLAN)

    @pytest.mark.parametrize(
        "call", [cf.mixed_accuracy, functools.partial(cf.mixed_loss, cross_entropy)], ids=["accuracy", "loss"]
    )
    def test_wrong_number_of_labels(self, call):
        with pytest.raises(cf.LabelError, match="needs a label for each of 4 samples"):
            call(np.zeros((4, 3)), LABELS[:3], PLAN)
        with pytest.raises(cf.ArrayError, match="needs a NumPy array, a PyTorch tensor, a JAX array"):
            call(np.zeros((4, 3)), [0, 1, 2, 0], PLAN)
