"""Which weights decay, what the rate is, and the running average."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig
from crossfade.training.optimise import Ema, build_optimizer, build_schedule


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


def test_biases_and_norms_are_not_decayed() -> None:
    optimizer = build_optimizer(small(), RunConfig(optimizer="adam", weight_decay=0.1, lr=1e-3))
    decayed, plain = optimizer.param_groups
    assert decayed["weight_decay"] == 0.1
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert plain["weight_decay"] == 0
    assert [p.ndim for p in plain["params"]] == [1] * 4


def test_frozen_weights_are_left_out() -> None:
    model = small()
    model[0].weight.requires_grad_(False)
    optimizer = build_optimizer(model, RunConfig())
    assert all(p is not model[0].weight for group in optimizer.param_groups for p in group["params"])


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_each_optimiser_with_its_own_default_rate(name: str, kind: type) -> None:
    optimizer = build_optimizer(small(), RunConfig(optimizer=name))
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["lr"] == (0.1 if name == "sgd" else 1e-3)


def test_schedule_counts_epochs_in_steps() -> None:
    schedule = build_schedule(RunConfig(epochs=10, schedule="step", every=2.0, gamma=0.5, warmup=1.0), 7)
    assert schedule(0) == pytest.approx(1 / 7)
    assert [schedule(step) for step in (13, 14, 27, 28)] == [1, 0.5, 0.5, 0.25]


def test_warm_up_may_last_the_whole_training_and_no_longer() -> None:
    assert build_schedule(RunConfig(epochs=1, warmup=1.0), 5)(3) == 1.0
    for warmup in (1.5, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="no longer than the training"):
            RunConfig(epochs=1, warmup=warmup)


def test_the_average_follows_its_equation() -> None:
    model = small()
    ema = Ema(model, 0.5)
    expected = None
    for t in range(6):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        model(torch.randn(4, 1, 3, 3))
        ema.update(model)
        current = model[0].weight.detach().clone()
        decay = min(0.5, (1 + t) / (10 + t))
        expected = current if expected is None else decay * expected + (1 - decay) * current
    assert torch.allclose(ema.model[0].weight, expected, atol=1e-6)
    assert ema.model[1].num_batches_tracked == 6
    assert not torch.equal(ema.model[1].running_mean, model[1].running_mean)
