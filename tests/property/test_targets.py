"""Any legal plan on any labels: against the oracle, against the pixels, against the loss."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import crossfade as cf
from crossfade.mixing import reference
from tests.contract.backends import BACKENDS
from tests.strategies import plans

seeds = st.integers(0, 2**32)
every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)


@every_backend
@given(plan=plans(), classes=st.integers(1, 6), seed=seeds, smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_targets_match_the_reference(backend, plan, classes, seed, smoothing):
    labels = np.random.default_rng(seed).integers(0, classes, len(plan))
    with backend.active():
        got = backend.leave(backend.mix_targets(backend.enter(labels), plan, num_classes=classes, smoothing=smoothing))
    np.testing.assert_allclose(got, reference.mix_targets(labels, plan, classes, smoothing), atol=1e-6)
    np.testing.assert_allclose(got.astype(np.float64).sum(axis=1), 1, atol=1e-6)


@every_backend
@given(plan=plans(), seed=seeds)
def test_soft_targets_match_the_reference(backend, plan, seed):
    labels = np.random.default_rng(seed).standard_normal((len(plan), 4))
    with backend.active():
        got = backend.leave(backend.mix_targets(backend.enter(labels), plan))
    np.testing.assert_allclose(got, reference.mix_targets(labels, plan, 4), atol=2e-6)


@every_backend
@given(plan=plans(), seed=seeds)
def test_one_hot_and_class_numbers_agree(backend, plan, seed):
    labels = np.random.default_rng(seed).integers(0, 3, len(plan))
    with backend.active():
        numbers = backend.leave(backend.mix_targets(backend.enter(labels), plan, num_classes=3))
        one_hot = backend.leave(backend.mix_targets(backend.enter(np.eye(3)[labels]), plan))
    np.testing.assert_allclose(one_hot, numbers, atol=1e-7)


@every_backend
@given(plan=plans(max_layers=3), seed=seeds)
def test_fifty_thousand_classes(backend, plan, seed):
    labels = np.random.default_rng(seed).choice([0, 1, 257, 32_769, 49_999], len(plan))
    with backend.active():
        got = backend.leave(backend.mix_targets(backend.enter(labels), plan, num_classes=50_000))
    rows, columns = np.nonzero(got)
    assert set(columns) <= set(labels)
    np.testing.assert_allclose(np.bincount(rows, got[rows, columns], minlength=len(plan)), 1, atol=1e-6)


@every_backend
@given(plan=plans(fills=False))
def test_label_weights_equal_the_pixels(backend, plan):
    """Sample j shines in channel j alone; its mean there, after mixing, is what its label weighs."""
    batch = len(plan)
    lights = np.broadcast_to(np.eye(batch)[:, None, None], (*plan.shape, batch)).copy()
    with backend.active():
        mixed = backend.leave(backend.mix_images(backend.enter(lights, backend.dtypes[-1]), plan, "NHWC"))
        targets = backend.leave(backend.mix_targets(backend.enter(np.arange(batch)), plan, num_classes=batch))
    np.testing.assert_allclose(targets, mixed.astype(float).mean(axis=(1, 2)), atol=3e-7)


@given(plan=plans(), seed=seeds)
def test_the_mixed_loss_is_the_loss_against_the_mixed_targets(plan, seed):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, 5, len(plan)), torch.from_numpy(rng.standard_normal((len(plan), 5)))
    loss = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
    tensors = torch.from_numpy(labels)
    want = loss(logits, torch.from_numpy(reference.mix_targets(labels, plan, 5))).mean()
    torch.testing.assert_close(cf.mixed_loss(loss, logits, tensors, plan), want)


@given(plan=plans(), seed=seeds)
def test_accuracy_counts_label_weight(plan, seed):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, 3, len(plan)), rng.standard_normal((len(plan), 3))
    targets = reference.mix_targets(labels, plan, 3)
    want = np.mean([targets[i, logits[i].argmax()] for i in range(len(plan))])
    assert cf.mixed_accuracy(logits, labels, plan) == pytest.approx(want, abs=1e-9)
    got = cf.mixed_accuracy(torch.from_numpy(logits), torch.from_numpy(labels), plan)
    assert float(got) == pytest.approx(want, abs=1e-6)
