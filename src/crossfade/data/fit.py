"""A decoded picture -> the square of pixels, and the number of channels, that the cache holds."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from crossfade.data.pillow import pillow
from crossfade.data.refusal import RefusedPicture
from crossfade.data.resize import resize
from crossfade.data.rows import Pixels
from crossfade.errors import ConfigError

Fit = Literal["stretch", "crop", "drop", "pad"]

PAD_FILL = 0  # black, as beyond the border of a shifted picture and in the fill of a plan


def to_row(image: Pixels, size: int, channels: int, fit: Fit = "stretch") -> Pixels:
    """A decoded picture as the cache holds it, (size, size, channels): `fit_square`, then `to_channels`."""
    return to_channels(fit_square(image, size, fit), channels)


def fit_square(image: Pixels, size: int, fit: Fit = "stretch") -> Pixels:
    """Bring a picture to `size` x `size` pixels.

    Args:
        image: (H, W, C) uint8, C 1 or 3.
        size: side in pixels.
        fit: "stretch" squeezes the whole picture into the square; "crop" takes the largest square at its
            centre; "pad" keeps the whole picture and its aspect, between two black bars; "drop" takes `size` x
            `size` pixels at the centre as they are, and refuses a picture with a shorter side.

    Returns:
        (size, size, C) uint8, see `resize` (bilinear, antialiased when shrinking); the input itself if it already has
        that size.

    Raises:
        RefusedPicture: too_small, under "drop".
    """
    height, width, _ = image.shape
    if height == width == size:
        return image
    check_fit(fit)
    if fit == "drop":
        return _centre(image, size)
    if fit == "pad":
        return _letterbox(image, size)
    if fit == "crop":
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        return resize(image, size, size, (left, top, left + side, top + side))
    return resize(image, size, size)


def _centre(image: Pixels, size: int) -> Pixels:
    height, width, _ = image.shape
    if min(height, width) < size:
        raise RefusedPicture("too_small", f"{width} x {height} pixels, a side under {size}, and fit is drop")
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size]


def _letterbox(image: Pixels, size: int) -> Pixels:
    height, width, channels = image.shape
    longest = max(height, width)
    height, width = (max(1, round(side * size / longest)) for side in (height, width))
    top, left = (size - height) // 2, (size - width) // 2
    square = np.full((size, size, channels), PAD_FILL, np.uint8)
    square[top : top + height, left : left + width] = resize(image, height, width)
    return square


def to_channels(image: Pixels, channels: int) -> Pixels:
    """Bring a picture to 1 or 3 channels: grey is repeated, colours become ITU-R 601 luma (Pillow's "L")."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(pillow("Image").fromarray(image).convert("L"))[:, :, None]


def check_fit(fit: str) -> None:
    """Raise ConfigError unless `fit` is one of the ways of `fit_square`."""
    if fit not in get_args(Fit):
        raise ConfigError(f"fit: must be one of {', '.join(get_args(Fit))}. Got {fit!r}.")
