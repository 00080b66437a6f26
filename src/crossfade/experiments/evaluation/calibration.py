"""Calibration: is a network right four times of five where it says 0.8? And the one number that mends most of it.

    p_T = softmax(z / T)            z: logits, T: the temperature;  T > 1 makes a network less sure of itself

T moves no logit past another, so it never changes which class is named.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.training.metrics import Scorer

COLDEST, HOTTEST = 0.05, 20.0

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def log_softmax(logits: NDArray[np.floating], temperature: float | Floats = 1.0) -> Floats:
    """(N, C) float64 log-probabilities of logits (N, C), divided by one temperature, or by (N,) of them."""
    scaled = logits.astype(np.float64) / np.reshape(temperature, (-1, 1))
    scaled -= scaled.max(axis=1, keepdims=True)
    log_p: Floats = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return log_p


def softmax(logits: NDArray[np.floating], temperature: float | Floats = 1.0) -> Floats:
    """(N, C) float64 probabilities; see `log_softmax`."""
    probabilities: Floats = np.exp(log_softmax(logits, temperature))
    return probabilities


def fit_temperature(logits: NDArray[np.floating], labels: Labels) -> float:
    """The temperature under which the labels are likeliest.

        T = argmin  - sum_i ln softmax(z_i / T)[y_i]            convex in 1 / T: one minimum

    Args:
        logits: (N, C), of pictures that nothing else was fitted to.
        labels: (N,) ints.

    Returns:
        From 0.05 to 20: where every picture is named rightly the best T is 0, and where chance is better, none.

    Source:
        Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))
    found = minimize_scalar(
        lambda log_t: -log_softmax(logits, np.exp(log_t))[rows, labels].mean(),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def crossed_temperatures(logits: NDArray[np.floating], labels: Labels, rng: np.random.Generator) -> Floats:
    """(N,) a temperature for each picture that was fitted on the other half, halves drawn: none judges itself."""
    order = rng.permutation(len(labels))
    halves = order[::2], order[1::2]
    temperatures: Floats = np.ones(len(labels))
    for own, other in (halves, halves[::-1]):
        if len(other):
            temperatures[own] = fit_temperature(logits[other], labels[other])
    return temperatures


def calibrate(
    logits: NDArray[np.floating],
    labels: Labels,
    fitted_on: tuple[NDArray[np.floating], Labels] | None,
    *,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Calibration before and after temperature scaling: the "calibration" of `evaluation.json`.

    Args:
        logits, labels: (N, C) and (N,), of the pictures judged.
        fitted_on: logits and labels of other pictures to fit the temperature on; None where there are none.
        rng: where there are none, halves drawn by it are fitted on each other, see `crossed_temperatures`;
            None leaves the probabilities as they are.

    Returns:
        "fitted_on" is "val", "halves", or None.
    """
    plain = Scorer(softmax(logits), labels)
    before = {"bins": plain.reliability(), "ece": plain.score("ece"), "log_loss": plain.score("log_loss")}
    applied: float | Floats
    if fitted_on is not None:
        how, temperature = "val", fit_temperature(*fitted_on)
        applied = temperature
    elif rng is not None and len(labels) > 1:
        how, temperature = "halves", fit_temperature(logits, labels)
        applied = crossed_temperatures(logits, labels, rng)
    else:
        nothing = ("temperature", "fitted_on", "bins_after", "ece_after", "log_loss_after")
        return {**before, **dict.fromkeys(nothing)}
    scaled = Scorer(softmax(logits, applied), labels)
    return {
        **before,
        "temperature": temperature,
        "fitted_on": how,
        "bins_after": scaled.reliability(),
        "ece_after": scaled.score("ece"),
        "log_loss_after": scaled.score("log_loss"),
    }
