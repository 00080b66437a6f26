"""Short trainings of which nothing is kept: what a network does at another learning rate."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from crossfade.training.config import RunConfig
from crossfade.training.loop import Training
from crossfade.training.run import Bench, build_model
from crossfade.training.schedule import Schedule

NOWHERE = Path(os.devnull)


@dataclass(frozen=True)
class Descent:
    """A short training at one learning rate.

    Attributes:
        lr: of every step.
        losses: one for each step; the last is no number where it blew up.
        held_out: how many of the pictures of the part "test" it names rightly, None where it was not asked for.
    """

    lr: float
    losses: list[float]
    held_out: int | None = None

    @property
    def final(self) -> float:
        """The mean loss of the last quarter of the steps; infinite where it blew up."""
        last = self.losses[-max(1, len(self.losses) // 4) :]
        mean = sum(last) / len(last)
        return mean if math.isfinite(mean) else math.inf


def new_training(bench: Bench, config: RunConfig, schedule: Schedule | None = None) -> Training:
    """A training from its first weights that has no folder: for `Training.descend`."""
    model = build_model(bench, config)
    args = (config, bench.pictures, model, bench.normalisation, NOWHERE, bench.device, bench.precision)
    return Training(*args, schedule=schedule)


def descend(bench: Bench, config: RunConfig, lr: float, steps: int, *, held_out: bool = False) -> Descent:
    """Train for so many steps at one rate, from the first weights of the configuration's seed."""
    training = new_training(bench, replace(config, lr=lr, schedule="constant", warmup=0.0, ema=None))
    losses = training.descend(steps)
    if not held_out or not math.isfinite(losses[-1]):
        return Descent(lr, losses)
    total = len(bench.pictures.split.test)
    return Descent(lr, losses, round(training.evaluate("test")[0]["accuracy"] * total))


def rising(low: float, high: float, steps: int) -> Callable[[int], float]:
    """The factor of `high` at each of `steps` steps, from low / high up to 1 by equal ratios.

    f(t) = (low / high)^(1 - t / (steps - 1))
    """
    return lambda step: float((low / high) ** (1 - step / (steps - 1)))
