"""A decoded picture -> the pixels, and the number of channels, that the cache holds."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from crossfade.data.pillow import pillow
from crossfade.data.refusal import RefusedPicture
from crossfade.data.resize import resize
from crossfade.data.rows import Pixels
from crossfade.errors import ConfigError

Fit = Literal["stretch", "crop", "drop", "pad"]
Size = int | tuple[int, int]
"""Pixels of a side of a square, or height and width of a rectangle."""

PAD_FILL = 0  # black, as beyond the border of a shifted picture and in the fill of a plan


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def to_row(image: Pixels, size: Size, channels: int, fit: Fit = "stretch") -> Pixels:
    """A decoded picture as the cache holds it, (height, width, channels): `fit_to`, then `to_channels`."""
    return to_channels(fit_to(image, size, fit), channels)


def fit_to(image: Pixels, size: Size, fit: Fit = "stretch") -> Pixels:
    """Bring a picture to a size.

    Args:
        image: (H, W, C) uint8, C 1 or 3.
        size: in pixels.
        fit: "stretch" squeezes the whole picture into it; "crop" takes the largest part of the right aspect at the
            picture's centre; "pad" keeps the whole picture and its aspect, between two black bars; "drop" takes so
            many pixels at the centre as they are, and refuses a picture that has fewer.

    Returns:
        (height, width, C) uint8, see `resize` (bilinear, antialiased when shrinking); the input itself if it already
        has that size.

    Raises:
        RefusedPicture: too_small, under "drop".
    """
    rows, columns, _ = image.shape
    height, width = sides(size)
    if (rows, columns) == (height, width):
        return image
    check_fit(fit)
    if fit == "drop":
        return _centre(image, height, width)
    if fit == "pad":
        return _letterbox(image, height, width)
    if fit == "crop":
        wider = _is_wider(image, height, width)
        down, across = (rows, rows * width / height) if wider else (columns * height / width, columns)
        left, top = (columns - across) / 2, (rows - down) / 2
        return resize(image, height, width, (left, top, left + across, top + down))
    return resize(image, height, width)


def _is_wider(image: Pixels, height: int, width: int) -> bool:
    """Whether a picture is wider, for its height, than what it is brought to."""
    rows, columns, _ = image.shape
    return columns * height >= rows * width


def _centre(image: Pixels, height: int, width: int) -> Pixels:
    rows, columns, _ = image.shape
    if rows < height or columns < width:
        short = f"a side under {height}" if height == width else f"fewer than {width} x {height}"
        raise RefusedPicture("too_small", f"{columns} x {rows} pixels, {short}, and fit is drop")
    top, left = (rows - height) // 2, (columns - width) // 2
    return image[top : top + height, left : left + width]


def _letterbox(image: Pixels, height: int, width: int) -> Pixels:
    rows, columns, channels = image.shape
    if _is_wider(image, height, width):
        down, across = max(1, round(rows * width / columns)), width
    else:
        down, across = height, max(1, round(columns * height / rows))
    top, left = (height - down) // 2, (width - across) // 2
    framed = np.full((height, width, channels), PAD_FILL, np.uint8)
    framed[top : top + down, left : left + across] = resize(image, down, across)
    return framed


def to_channels(image: Pixels, channels: int) -> Pixels:
    """Bring a picture to 1 or 3 channels: grey is repeated, colours become ITU-R 601 luma (Pillow's "L")."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    return np.asarray(pillow("Image").fromarray(image).convert("L"))[:, :, None]


def check_fit(fit: str) -> None:
    """Raise ConfigError unless `fit` is one of the ways of `fit_to`."""
    if fit not in get_args(Fit):
        raise ConfigError(f"fit: must be one of {', '.join(get_args(Fit))}. Got {fit!r}.")
