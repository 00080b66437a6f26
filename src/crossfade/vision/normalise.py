"""Normalising: from pixels to the numbers a network sees.

    out = (x / 255 - mean) / std                x in 0..255;  mean and std per channel, in 0..1

Every way is of this form. Only what stands for mean and std differs:

    how         mean             std            over
    divide      0                1
    minmax      min              max - min      all channels together, so that hues stay
    percentile  p5               p95 - p5       all channels together
    standard    mean             deviation      each channel

They are measured on one picture ("by picture"), or once on the training pictures, and then hold for all. Where the
spread is 0 it counts as 1, so a constant picture becomes 0. Everything is counted from histograms of the 256 values,
and therefore exact however many pictures there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossfade.errors import ArrayError, ConfigError
from crossfade.vision.preprocess import How

LOW, HIGH = 0.05, 0.95
_VALUES = np.arange(256) / 255
NO_SPREAD = 1e-6


@dataclass(frozen=True)
class Normalisation:
    """(x / 255 - mean) / std, of each channel."""

    mean: list[float]
    std: list[float]


def normalise(images: Any, how: How = "standard", *, by: Literal["picture"] | Normalisation = "picture") -> Any:
    """Normalise a batch.

    Args:
        images: (B, H, W, C) uint8; they stay as they are.
        how: see the top of this module.
        by: "picture", or what `measure` found on the training pictures (then `how` has been decided).

    Returns:
        (B, H, W, C) float32.

    Raises:
        ArrayError: `images` is no such array.
        ConfigError: an unknown `how` or `by`.

    Source:
        R4 of the reference systems. Differs: with the brackets its formulas lack, (x - min) / (max - min).
    """
    pixels = _checked(images)
    if isinstance(by, Normalisation):
        mean, std = np.array([by.mean]), np.array([by.std])
        if mean.shape != (1, pixels.shape[3]) or std.shape != mean.shape or not (std > 0).all():
            raise ConfigError(
                f"normalise: by needs a mean, and a std above 0, of {pixels.shape[3]} channels. Got {by}."
            )
    elif by == "picture":
        mean, std = measure(histogram(pixels), how)
    else:
        raise ConfigError(f'normalise: by must be "picture" or a Normalisation. Got {by!r}.')
    return shift_and_scale(pixels.astype(np.float32), *in_pixels(mean, std))


def in_pixels(mean: NDArray[np.float64], std: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """255 mean and 255 std of each picture, (B, C) -> twice (B, 1, 1, C), for `shift_and_scale`."""
    low, span = ((255 * value)[:, None, None].astype(np.float32) for value in (mean, std))
    return low, span


def shift_and_scale(values: Any, low: Any, span: Any) -> Any:
    """(x - low) / span, in place, each picture by its own.

    In this order a constant picture becomes 0 to the last bit, and by minmax the largest value 1.

    Args:
        values: (B, H, W, C) float32 array or tensor, in 0..255.
        low, span: see `in_pixels`; of the same framework.
    """
    values -= low
    values /= span
    return values


def as_shown(how: How, channels: int) -> Normalisation:
    """What to undo where each picture was normalised by itself: 0..1 is shown whole, "standard" from -2 to 2."""
    mean, std = (0.5, 0.25) if how == "standard" else (0.0, 1.0)
    return Normalisation([mean] * channels, [std] * channels)


def as_pictures(values: NDArray[np.float32], normalisation: Normalisation) -> NDArray[np.uint8]:
    """(B, H, W, C) normalised values as pictures again; what lies outside 0..255 is cut off."""
    pixels = (values * normalisation.std + normalisation.mean) * 255
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def histogram(images: ArrayLike) -> NDArray[np.int64]:
    """How often each value occurs: (B, H, W, C) uint8 -> (B, C, 256) counts."""
    pixels = _checked(images)
    batch, channels = len(pixels), pixels.shape[3]
    counts = np.empty((batch, channels, 256), np.int64)
    for picture in range(batch):
        for channel in range(channels):
            counts[picture, channel] = np.bincount(pixels[picture, :, :, channel].ravel(), minlength=256)
    return counts


def _checked(images: ArrayLike) -> NDArray[np.uint8]:
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape[1:]:
        raise ArrayError(f"normalise: images must be (B, H, W, C) uint8. Got {pixels.dtype} {pixels.shape}.")
    return pixels


def measure(counts: NDArray[np.int64], how: How) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and std, as the top of this module means them, of pixels counted by `histogram`.

    Args:
        counts: (..., C, 256).
        how: see there.

    Returns:
        Two arrays (..., C), in 0..1.
    """
    if how == "divide":
        mean, std = np.zeros(counts.shape[:-1]), np.ones(counts.shape[:-1])
    elif how == "standard":
        mean, std = _moments(counts)
    elif how in ("minmax", "percentile"):
        low, high = (0.0, 1.0) if how == "minmax" else (LOW, HIGH)
        together = np.broadcast_to(counts.sum(axis=-2, keepdims=True), counts.shape)
        mean = _quantile(together, low)
        std = _quantile(together, high) - mean
    else:
        raise ConfigError(f"normalise: must be standard, divide, minmax or percentile. Got {how!r}.")
    return mean, np.where(std > NO_SPREAD, std, 1.0)


def _moments(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    share = counts / counts.sum(axis=-1, keepdims=True)
    mean = share @ _VALUES
    return mean, np.sqrt(np.maximum(share @ _VALUES**2 - mean**2, 0))


def _quantile(counts: NDArray[np.int64], q: float) -> NDArray[np.float64]:
    """As ``numpy.quantile`` of the pixels themselves: between two neighbours in order, linearly."""
    place = q * (counts.sum(axis=-1) - 1)
    below = np.floor(place).astype(np.int64)
    lower, upper = (_in_order(counts, rank) for rank in (below, np.ceil(place).astype(np.int64)))
    value: NDArray[np.float64] = (lower + (upper - lower) * (place - below)) / 255
    return value


def _in_order(counts: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of the pixel that has `rank` (...) others before it."""
    value: NDArray[np.int64] = (np.cumsum(counts, axis=-1) <= rank[..., None]).sum(axis=-1)
    return value
