"""Curves of robustness, on toys."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from crossfade.experiments.evaluation.robustness import evenly, robustness
from crossfade.training.device_feed import DeviceFeed
from crossfade.vision.normalise import Normalisation


def test_the_classes_are_as_equal_as_they_can_be() -> None:
    labels = np.repeat([0, 1, 2], [100, 30, 3])
    numbers = np.arange(1000, 1133)
    chosen = evenly(numbers, labels, 43, seed=0)
    assert np.bincount(labels[chosen - 1000]).tolist() == [20, 20, 3]
    assert (np.diff(chosen) > 0).all()
    assert not np.array_equal(chosen, evenly(numbers, labels, 43, seed=1))
    np.testing.assert_array_equal(chosen, evenly(numbers, labels, 43, seed=0))
    np.testing.assert_array_equal(evenly(numbers, labels, 500, seed=0), numbers)


class Bright(nn.Module):
    """Says 1 for pictures above middle grey."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_curves_of_a_network_that_looks_at_brightness_alone() -> None:
    """Pictures of 60..99 are 0: brighter by b, those from 128 - b on are named 1. Blur and turning change nothing."""
    levels = np.arange(60, 100, dtype=np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (40, 16, 16, 3)).copy()
    labels = np.zeros(40, np.int64)
    feed = DeviceFeed(Normalisation([0.5] * 3, [0.25] * 3), device=torch.device("cpu"))
    ticks: list[tuple[int, int]] = []
    found = robustness(
        Bright(), feed, torch.float32, pixels, labels, np.arange(40), threads=0, progress=lambda *at: ticks.append(at)
    )
    assert (found["pictures"], found["clean"]) == (40, 1.0)
    assert ticks[-1][0] == ticks[-1][1] == len(ticks)
    curves = found["curves"]
    assert set(curves) == {"fgsm", "pgd", "brightness", "noise", "blur", "jpeg", "rotation"}
    expected = [float((levels.astype(int) + b < 128).mean()) for b in curves["brightness"]["strengths"]]
    assert curves["brightness"]["accuracy"] == expected
    assert curves["fgsm"]["accuracy"] == curves["pgd"]["accuracy"] == [1.0] * 5
    for kind in ("blur", "rotation", "jpeg"):
        assert curves[kind]["accuracy"] == [1.0] * 5
    for curve in curves.values():
        assert len(curve["strengths"]) == len(curve["accuracy"]) == 5
        assert curve["title"]
        assert curve["unit"]
