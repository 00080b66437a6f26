"""Pictures changed by a few levels, each value by no more than epsilon, so that a network errs: FGSM and PGD.

Attacks act on pixels p in 0..255, on what `Preprocess.pictures` leaves of a picture (a threshold has no gradient), with
gradients in the run's precision. What comes out are whole levels again: pictures that could be files.

    x = (p - low) / span                 as the network sees it; both constants of the clean picture
    L(p) = - ln softmax(f(x))[y]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from crossfade.data.loader import Loader
from crossfade.experiments.evaluation.corruptions import Draw
from crossfade.rng import Stream, derive_rng
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.feed import Ready
from crossfade.training.inference import forward
from crossfade.vision.normalise import in_pixels

EPSILONS = (1.0, 2.0, 4.0, 8.0, 16.0)  # levels of 255
STEPS = 10


@dataclass(frozen=True)
class Target:
    """A batch of pictures and the network that is to err on them.

    Args:
        model: in evaluation mode, float32.
        pixels: (B, C, H, W) float32, whole levels 0..255.
        labels: (B,) int64, the truth.
        low, span: of x = (p - low) / span; broadcast against `pixels`.
        precision: that gradients are computed in; pictures are named in float32 whatever it is.
    """

    model: nn.Module
    pixels: Tensor
    labels: Tensor
    low: Tensor
    span: Tensor
    precision: torch.dtype = torch.float32

    def logits(self, pixels: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
        """(B, C) float32, of changed pixels."""
        return forward(self.model, (pixels - self.low) / self.span, precision)

    def uphill(self, pixels: Tensor) -> Tensor:
        """sign(dL/dp), (B, C, H, W)."""
        leaf = pixels.detach().requires_grad_()
        # Summed, not averaged: the gradient of a picture must not depend on the batch it is in.
        loss = functional.cross_entropy(self.logits(leaf, self.precision), self.labels, reduction="sum")
        return torch.autograd.grad(loss, leaf)[0].sign()

    def inside(self, pixels: Tensor, epsilon: float) -> Tensor:
        """The nearest picture within epsilon of the clean one and within 0..255."""
        low, high = (self.pixels - epsilon).clamp(min=0), (self.pixels + epsilon).clamp(max=255)
        return torch.minimum(torch.maximum(pixels, low), high)


def fgsm(target: Target, epsilons: tuple[float, ...] = EPSILONS) -> Iterator[Tensor]:
    """One step along the sign of the gradient, for each epsilon:  p' = clip(p + eps sign(dL/dp)).

    Source:
        Goodfellow et al. 2015, Explaining and harnessing adversarial examples, arXiv:1412.6572, section 4.
    """
    sign = target.uphill(target.pixels)
    for epsilon in epsilons:
        yield target.inside(target.pixels + epsilon * sign, epsilon).round()


def pgd(target: Target, start: Tensor, epsilons: tuple[float, ...] = EPSILONS, steps: int = STEPS) -> Iterator[Tensor]:
    """`steps` steps of eps / 4, each brought back within epsilon, for each epsilon.

        p_0 = clip(p + eps u)        u ~ U(-1, 1) of each value
        p_{t+1} = clip(p_t + (eps / 4) sign(dL/dp_t))

    Args:
        start: u, (B, C, H, W) float32.

    Source:
        Madry et al. 2018, Towards deep learning models resistant to adversarial attacks, arXiv:1706.06083, section 2.1.
        Differs: rounded to whole levels at the end.
    """
    for epsilon in epsilons:
        pixels = target.inside(target.pixels + epsilon * start, epsilon)
        for _ in range(steps):
            pixels = target.inside(pixels + epsilon / 4 * target.uphill(pixels), epsilon)
        yield pixels.round()


def attacked_accuracy(
    model: nn.Module,
    loader: Loader[Ready],
    feed: DeviceFeed,
    precision: torch.dtype = torch.float32,
    *,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """{"fgsm", "pgd"}: the share named rightly at each of `EPSILONS`, of the pictures of a loader.

    Gradients, which are nearly all of the work, are computed in `precision`; what they led to is judged in float32.
    `progress` is told after each attack on each batch, so 2 len(EPSILONS) len(loader) times.
    """
    model.eval()
    hits = {"fgsm": np.zeros(len(EPSILONS), np.int64), "pgd": np.zeros(len(EPSILONS), np.int64)}
    for ready in loader.epoch(0):
        target = aim(model, ready, feed, precision)
        attacks = {"fgsm": fgsm(target), "pgd": pgd(target, _start(target.pixels, ready, seed))}
        for name, changed in attacks.items():
            for strength, pixels in enumerate(changed):
                with torch.no_grad():
                    named = target.logits(pixels).argmax(1)
                hits[name][strength] += int((named == target.labels).sum())
                progress()
    return {name: (counts / len(loader.ids)).tolist() for name, counts in hits.items()}


def aim(model: nn.Module, ready: Ready, feed: DeviceFeed, precision: torch.dtype = torch.float32) -> Target:
    """A batch as a `Target`: the pixels that the network is shown, with what normalises them held fixed."""
    images, labels = feed.to_device(ready)
    shared = feed.normalisation
    constants = ready.each or in_pixels(np.array([shared.mean]), np.array([shared.std]))
    low, span = (torch.from_numpy(value).to(images.device).permute(0, 3, 1, 2) for value in constants)
    pixels = (images * span + low).round().clamp(0, 255)
    return Target(model, pixels, labels, low, span, precision)


def _start(pixels: Tensor, ready: Ready, seed: int) -> Tensor:
    """The start u of each picture by its number, so that it depends on neither batch nor network."""
    draws = np.empty(pixels.shape, np.float32)
    for row, number in enumerate(ready.ids.tolist()):
        rng = derive_rng(seed, Stream.ROBUSTNESS, Draw.PGD, number)
        draws[row] = 2 * rng.random(draws.shape[1:], np.float32) - 1
    return torch.from_numpy(draws).to(pixels.device)
