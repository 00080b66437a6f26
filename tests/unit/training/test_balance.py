"""The weighted loss, against the equation written out, alone and with mixing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from crossfade import CutMix, MixUp
from crossfade.arrays.dispatch import mixed_loss
from crossfade.training.balance import build_loss
from crossfade.training.config import RunConfig

LABELS = np.repeat([0, 1, 2], [6, 3, 1])
WEIGHTS = 10 / (3 * np.array([6, 3, 1]))
CPU = torch.device("cpu")


def pictures() -> Any:
    """Ten training pictures of three classes, and others that must not count."""
    index = SimpleNamespace(labels=np.concatenate([LABELS, [2] * 50]))
    return SimpleNamespace(index=index, split=SimpleNamespace(train=np.arange(10)), classes=("a", "b", "c"))


def logits(n: int) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("policy", [MixUp(0.8), CutMix(1.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_each_layer_is_weighed_by_its_own_class(policy: Any, smoothing: float) -> None:
    plan = policy.plan((10, 8, 8), rng=1, labels=LABELS)
    loss = build_loss(RunConfig(balance="loss", label_smoothing=smoothing), pictures(), CPU)
    got = mixed_loss(loss, logits(10), torch.from_numpy(LABELS), plan)
    total = 0.0
    for i, row in enumerate(F.log_softmax(logits(10).double(), 1).numpy()):
        for source, weight in zip(plan.source[i], plan.weight[i], strict=True):
            truth = LABELS[source]
            smoothed = (1 - smoothing) * -row[truth] + smoothing * -row.mean()
            total += weight * WEIGHTS[truth] * smoothed / 10
    assert float(got) == pytest.approx(total, rel=1e-5)


def test_a_loss_that_is_the_same_everywhere_keeps_its_mean() -> None:
    loss = build_loss(RunConfig(balance="loss"), pictures(), CPU)
    alike = loss(torch.zeros(10, 3), torch.from_numpy(LABELS))
    assert float(alike.mean()) == pytest.approx(np.log(3))
    by_class = np.bincount(LABELS, alike.numpy())
    assert by_class == pytest.approx([by_class[0]] * 3)


@pytest.mark.parametrize("balance", ["none", "sampling"])
def test_otherwise_it_is_the_plain_loss_to_the_bit(balance: Any) -> None:
    truth = torch.from_numpy(LABELS)
    loss = build_loss(RunConfig(balance=balance, label_smoothing=0.1), pictures(), CPU)
    plain = F.cross_entropy(logits(10), truth, reduction="none", label_smoothing=0.1)
    assert torch.equal(loss(logits(10), truth), plain)
