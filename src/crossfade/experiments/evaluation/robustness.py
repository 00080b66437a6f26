"""Robustness: accuracy as pictures get worse, by accident (`corruptions`) or on purpose (`attacks`).

Corruptions act on the pictures as they are cached, before the run's own preprocessing; the network then computes in the
run's precision. Attacks act after that preprocessing, with gradients in the run's precision; what they led to is judged
in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from crossfade.data.loader import Gather, gather_rows
from crossfade.data.rows import Rows
from crossfade.experiments.evaluation.attacks import EPSILONS, attacked_accuracy
from crossfade.experiments.evaluation.corruptions import CORRUPTIONS, Corruption, Draw
from crossfade.rng import Stream, derive_rng
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.inference import logits_of, plain_loader

PICTURES = 1000
ATTACK_BATCH = 128
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}
ATTACK_UNIT = "largest change, in levels of 255"

Numbers = NDArray[np.int64]
Progress = Callable[[int, int], None]


def evenly(numbers: Numbers, labels: Numbers, most: int, seed: int) -> Numbers:
    """At most `most` of `numbers`, ascending, the classes as equal in number as they can be; which ones is drawn.

    Args:
        numbers: (n,) of pictures.
        labels: (n,) their classes.
    """
    order = derive_rng(seed, Stream.ROBUSTNESS, Draw.SUBSET).permutation(len(numbers))
    turn = np.empty(len(numbers), np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = np.arange(len(own))
    first = order[np.argsort(turn[order], kind="stable")][:most]
    return np.sort(numbers[first])


def robustness(
    model: nn.Module,
    feed: DeviceFeed,
    precision: torch.dtype,
    pixels: Rows,
    labels: Numbers,
    numbers: Numbers,
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Accuracy of a network at every strength of every corruption and attack: the "robustness" of `evaluation.json`.

    Args:
        pixels: (N, H, W, C) uint8, what a `Cache` holds.
        labels: (N,) the truth.
        numbers: (n,) which pictures.
        progress: called as ``progress(done, total)``.

    Returns:
        {"pictures", "clean", "curves": {kind: {"title", "unit", "strengths", "accuracy"}}}.
    """
    attacked = plain_loader(pixels, labels, numbers, feed, threads=threads, batch=ATTACK_BATCH)
    strengths = [(name, one, strength) for name, one in CORRUPTIONS.items() for strength in one.strengths]
    total, done = len(strengths) + 1 + len(ATTACKS) * len(EPSILONS) * len(attacked), 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    def accuracy(gather: Gather | None = None) -> float:
        loader = plain_loader(pixels, labels, numbers, feed, threads=threads, gather=gather)
        logits, truth = logits_of(model, loader, feed, precision)
        tick()
        return int((logits.argmax(1) == truth).sum()) / len(truth)

    clean = accuracy()
    curves = {name: _curve(one.title, one.unit, one.strengths) for name, one in CORRUPTIONS.items()}
    for name, one, strength in strengths:
        curves[name]["accuracy"].append(accuracy(spoiling(one, strength, seed)))
    found = attacked_accuracy(model, attacked, feed, precision, seed=seed, progress=tick)
    attacks = {
        name: _curve(title, ATTACK_UNIT, EPSILONS) | {"accuracy": found[name]} for name, title in ATTACKS.items()
    }
    return {"pictures": len(numbers), "clean": clean, "curves": {**attacks, **curves}}


def spoiling(corruption: Corruption, strength: float, seed: int) -> Gather:
    """A loader's `gather` that spoils the pictures as it copies them."""

    def gather(pixels: Rows, numbers: Numbers, epoch: int) -> NDArray[np.uint8]:
        return corruption.apply(gather_rows(pixels, numbers, epoch), strength, numbers, seed)

    return gather


def _curve(title: str, unit: str, strengths: tuple[float, ...]) -> dict[str, Any]:
    return {"title": title, "unit": unit, "strengths": list(strengths), "accuracy": []}
