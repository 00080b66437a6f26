"""Learning-rate schedules: pure functions of (step, total).

Each gives the factor that multiplies the base rate at `step` = 0 .. `total` - 1. All take `warmup`, the number
of first steps in which the factor rises in a straight line, w(t) = (t + 1) / warmup, so that no step is spent at 0
and step `warmup` - 1 has the full rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches

from crossfade.errors import ConfigError

ONECYCLE_RISE = 0.3

Schedule = Callable[[int], float]


def constant(step: int, total: int, *, warmup: int = 0) -> float:
    """f(t) = 1, after the warm-up."""
    return _rise(step, warmup)


def cosine(step: int, total: int, *, warmup: int = 0) -> float:
    """Half a cosine over the steps after the warm-up, from 1 down to almost 0.

        f(t) = (1 + cos(pi (t - warmup) / (total - warmup))) / 2

    Source:
        Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983, eq. 5, without restarts.
    """
    if step < warmup:
        return _rise(step, warmup)
    return (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup))) / 2


def step_decay(step: int, total: int, *, warmup: int = 0, gamma: float = 0.5, every: int = 1) -> float:
    """Multiply by `gamma` after each `every` steps, counted from the start:  f(t) = w(t) gamma^floor(t / every)."""
    return _rise(step, warmup) * gamma ** (step // every)


def onecycle(step: int, total: int, *, warmup: int = 0) -> float:
    """One triangle: up to 1 in the warm-up, then down in a straight line to almost 0.

        f(t) = w(t) for t < warmup,   (total - t) / (total - warmup + 1) after it

    Without a `warmup` the rise takes `ONECYCLE_RISE` of the training.

    Source:
        Smith & Topin 2018, Super-convergence, arXiv:1708.07120. Differs: the rise starts near 0, the fall ends
        there without a phase of its own, and momentum stays as it is.
    """
    warmup = warmup or max(1, round(ONECYCLE_RISE * total))
    if step < warmup:
        return _rise(step, warmup)
    return (total - step) / (total - warmup + 1)


def never_improved(
    step: int, total: int, *, warmup: int = 0, gamma: float = 0.5, every: int = 1, first: int = 0
) -> float:
    """What "plateau" does where nothing improves after the first epoch:  f(t) = w(t) gamma^floor((t - first) / every).

    To be drawn, since no function of the step knows the rest: a training multiplies by `gamma` when its validation
    stands still, see `crossfade.training.keeper`.

    Args:
        every: steps of as many epochs as may pass without improvement.
        first: steps of the first epoch, which is always the best so far.
    """
    return _rise(step, warmup) * gamma ** (max(0, step - first) // every)


_SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "step": step_decay,
    "onecycle": onecycle,
    "plateau": constant,  # as far as the step alone tells: `never_improved`
}


def names() -> list[str]:
    """The schedules there are."""
    return list(_SCHEDULES)


def make(name: str, total: int, *, warmup: int = 0, gamma: float = 0.5, every: int = 1) -> Schedule:
    """The schedule called `name` over `total` steps, as a function of the step alone.

    Args:
        name: one of `names()`.
        total: steps of the whole training, >= 1.
        warmup: steps, 0 <= warmup < total (warmup 0: none).
        gamma: of "step": the factor of each decay, > 0.
        every: of "step": steps between decays, >= 1.

    Raises:
        ConfigError: no such schedule, or a number outside its range.
    """
    if name not in _SCHEDULES:
        near = get_close_matches(name, names(), n=1) or names()
        raise ConfigError(f"schedule: must be one of {', '.join(names())}. Got {name!r}. Try {near[0]!r}.")
    if not 0 <= warmup < total:
        raise ConfigError(
            f"schedule: the warm-up must end before the training does. Got warmup={warmup} of {total} steps. "
            "Shorten it, or train longer."
        )
    if not (gamma > 0 and every >= 1):
        raise ConfigError(
            f"schedule: gamma must be above 0, and every 1 step or more. Got gamma={gamma}, every={every}. "
            "Pass gamma=0.5, every=100, say."
        )
    options = {"gamma": gamma, "every": every} if name == "step" else {}
    return lambda step: _SCHEDULES[name](step, total, warmup=warmup, **options)


def _rise(step: int, warmup: int) -> float:
    """w(t) = (t + 1) / warmup while t < warmup, then 1."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0
