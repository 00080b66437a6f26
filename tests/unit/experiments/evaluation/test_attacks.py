"""Attacks on toys whose weakest point is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crossfade.data.loader import Batch
from crossfade.experiments.evaluation.attacks import EPSILONS, Target, aim, attacked_accuracy, fgsm, pgd
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.inference import plain_loader
from crossfade.vision.normalise import Normalisation
from crossfade.vision.preprocess import Preprocess

CPU = torch.device("cpu")
FEED = DeviceFeed(Normalisation([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]), device=CPU)


class Linear(nn.Module):
    """Two logits, 0 and w x: the loss of class 0 is highest at the corner sign(w) of the box."""

    def __init__(self, size: int = 6) -> None:
        super().__init__()
        self.weight = torch.from_numpy(np.random.default_rng(0).normal(size=(3, size, size)).astype(np.float32)) / 30

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = (images * self.weight).sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], dim=1)


class Bent(nn.Module):
    """A small network that is not linear."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(3)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(108, 24), nn.Tanh(), nn.Linear(24, 3))
            for layer in (self.net[1], self.net[3]):
                nn.init.normal_(layer.weight, std=0.4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.net(images)


def images(n: int = 32, size: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def target(model: nn.Module, feed: DeviceFeed = FEED, pixels: np.ndarray | None = None) -> Target:
    pixels = images() if pixels is None else pixels
    labels = np.arange(len(pixels)) % 2
    return aim(model.eval(), feed.prepare(Batch(pixels, labels, np.arange(len(pixels)), 0, 0)), feed)


def start(like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, tuple(like.shape)).astype(np.float32))


def losses(on: Target, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return nn.functional.cross_entropy(on.logits(pixels), on.labels, reduction="none")


@pytest.mark.parametrize("feed", [FEED, *(
    DeviceFeed(Normalisation([0.5] * 3, [0.25] * 3), Preprocess(normalise=how, normalise_by="picture"), device=CPU)
    for how in ("standard", "minmax", "percentile")
)])  # fmt: skip
def test_the_pixels_attacked_are_those_of_the_picture(feed: DeviceFeed) -> None:
    on = target(Linear(), feed)
    np.testing.assert_array_equal(on.pixels.permute(0, 2, 3, 1).numpy(), images())
    ready = feed.prepare(Batch(images(), np.zeros(32, np.int64), np.arange(32), 0, 0))
    torch.testing.assert_close((on.pixels - on.low) / on.span, feed.to_device(ready)[0], rtol=1e-4, atol=1e-4)


def test_a_threshold_comes_before_the_attack() -> None:
    on = target(Linear(), DeviceFeed(FEED.normalisation, Preprocess(threshold=128), device=CPU))
    assert set(on.pixels.unique().tolist()) == {0.0, 255.0}


@pytest.mark.parametrize("model", [Linear(), Bent()])
def test_no_value_goes_beyond_epsilon_or_the_range_and_all_are_whole(model: nn.Module) -> None:
    on = target(model)
    for attack in (fgsm(on), pgd(on, start(on.pixels))):
        for epsilon, changed in zip(EPSILONS, attack, strict=True):
            assert (changed - on.pixels).abs().max() == epsilon
            assert changed.min() >= 0
            assert changed.max() <= 255
            assert (changed == changed.round()).all()


def test_on_a_linear_network_both_find_the_worst_picture_there_is() -> None:
    """argmax of w x over the box is its corner: p + eps sign(w) for class 0, p - eps sign(w) for class 1."""
    on = target(Linear())
    side = torch.where(on.labels[:, None, None, None] == 0, 1, -1)
    for epsilon, fast, strong in zip(EPSILONS, fgsm(on), pgd(on, start(on.pixels)), strict=True):
        corner = (on.pixels + epsilon * side * on.model.weight.sign()).clamp(0, 255)
        assert torch.equal(fast, corner)
        assert torch.equal(strong, corner)


def test_pgd_is_the_stronger_one_where_the_network_bends() -> None:
    on = target(Bent())
    for fast, strong in zip(fgsm(on), pgd(on, start(on.pixels)), strict=True):
        assert losses(on, strong).mean() >= losses(on, fast).mean() > losses(on, on.pixels).mean()
    assert losses(on, strong).mean() > 1.02 * losses(on, fast).mean()


def test_accuracy_falls_with_epsilon_and_does_not_depend_on_the_batch() -> None:
    pixels, model = images(200), Linear().eval()
    plain = DeviceFeed(Normalisation([0.5] * 3, [0.25] * 3), device=CPU)
    with torch.no_grad():
        labels = target(model, plain, pixels).logits(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).argmax(1)
    found = [
        attacked_accuracy(
            model, plain_loader(pixels, labels.numpy(), np.arange(200), plain, batch=batch, threads=0), plain, seed=0
        )
        for batch in (200, 33)
    ]
    assert found[0] == found[1]
    for accuracies in found[0].values():
        assert accuracies[0] < 1
        assert (np.diff(accuracies) <= 0).all()
        assert accuracies[-1] < accuracies[0] - 0.2
    assert (np.array(found[0]["pgd"]) <= found[0]["fgsm"]).all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_gradients_are_in_the_precision_of_the_run_and_judged_in_float32(precision: torch.dtype) -> None:
    modes: list[tuple[bool, bool]] = []

    class Watched(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            modes.append((torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
            return images.flatten(1)[:, :2]

    pixels, low, span = torch.full((3, 1, 4, 4), 100.0), torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 255.0)
    target = Target(Watched(), pixels, torch.zeros(3, dtype=torch.int64), low, span, precision)
    target.uphill(pixels)
    with torch.no_grad():
        assert target.logits(pixels).dtype == torch.float32
    assert modes == [(True, precision == torch.bfloat16), (False, False)]
