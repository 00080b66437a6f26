"""What was drawn to change each picture of a batch, and what that means: the definition, for every framework.

    warped[y, x] = image(matrix @ (y, x, 1))        bilinear between pixels, beyond the border by `fill`
    changed      = step_n(... step_1(warped))       each step a `Colour` and its amount

All results are rounded to nearest uint8. Geometry is computed in whole numbers, the matrix in 2^-32 of a pixel and the
place between pixels in 64ths, so that it is the same to the last bit in every framework and on every device. The
functions here take the namespace `xp` that belongs to their arrays, numpy or torch; `augment_kernels` does the same in
compiled loops.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Fill = Literal["constant", "nearest", "reflect", "mirror", "wrap"]
FILLS: tuple[Fill, ...] = ("constant", "nearest", "reflect", "mirror", "wrap")
UNIT_BITS = 32  # of a pixel, in the matrix
PART_BITS = 6  # of a pixel, between two pixels
LARGEST = np.array([2**10, 2**10, 2**20])  # entries of a matrix; of pictures of 2^15 pixels a side, none overflows
LARGEST_AMOUNT = 2**10  # of a colour step; a hue is turned back round by round


class Colour(IntEnum):
    """A change of colours, and what its amount `a` means; L is the luma of ITU-R 601, as Pillow computes it."""

    NONE = 0
    BRIGHTNESS = 1  # a x
    CONTRAST = 2  # m + a (x - m), m the rounded mean of L
    SATURATION = 3  # L + a (x - L)
    HUE = 4  # a turns of the colour circle (HSV)
    SHARPNESS = 5  # s + a (x - s), s smoothed by (1 1 1, 1 5 1, 1 1 1) / 13; the border stays
    SHIFT = 6  # x + a, a in levels
    POSTERIZE = 7  # the upper a bits
    SOLARIZE = 8  # 255 - x from level a on
    AUTOCONTRAST = 9  # each channel stretched to 0..255
    EQUALIZE = 10  # each channel's histogram made even


class DrawnAugmentation(Protocol):
    """What was drawn for each of B samples; `crossfade.vision.augment` draws it."""

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(B, 2, 3): where in the picture, in rows and columns, the pixel (y, x) of the result is looked up."""

    @property
    def fill(self) -> Fill:
        """Beyond the border: `value`, or the picture goes on as aaaa|abcd|dddd (nearest), dcba|abcd|dcba (reflect),
        dcb|abcd|cba (mirror), abcd|abcd|abcd (wrap)."""  # noqa: D209

    @property
    def value(self) -> int:
        """Level of the constant fill."""

    @property
    def colours(self) -> NDArray[np.int64]:
        """(B, N) `Colour` numbers, one after the other."""

    @property
    def amounts(self) -> NDArray[np.float64]:
        """(B, N) their amounts."""


def augment(xp: Any, images: Any, drawn: DrawnAugmentation) -> Any:
    """(B, H, W, C) uint8 -> the same, augmented; `images` stays as it is."""
    return recolour(xp, warp(xp, images, drawn), drawn)


# ---------------------------------------------------------------------------------------------------------- geometry


def whole_matrix(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """The matrix in units of 2^-32 of a pixel."""
    return np.rint(matrix * 2.0**UNIT_BITS).astype(np.int64)


def warp(xp: Any, images: Any, drawn: DrawnAugmentation) -> Any:
    """The pictures read at ``matrix @ (y, x, 1)``, (B, H, W, C) uint8."""
    batch, height, width = images.shape[:3]
    matrix = _like(xp, whole_matrix(drawn.matrix), images)[:, :, :, None, None]
    y, x = _like(xp, np.arange(height)[:, None], images), _like(xp, np.arange(width)[None, :], images)
    places = matrix[:, :, 0] * y + matrix[:, :, 1] * x + matrix[:, :, 2]
    unit = UNIT_BITS - PART_BITS
    places = (places + (1 << (unit - 1))) >> unit
    low, part = places >> PART_BITS, (places & (2**PART_BITS - 1))[..., None]
    rows = [_inside(xp, low[:, 0] + step, height, drawn.fill) for step in (0, 1)]
    columns = [_inside(xp, low[:, 1] + step, width, drawn.fill) for step in (0, 1)]
    sample = _like(xp, np.arange(batch)[:, None, None], images)
    one, down, right = 2**PART_BITS, part[:, 0], part[:, 1]
    above, below = (
        (one - right) * _read(xp, images, sample, row, columns[0], drawn.value)
        + right * _read(xp, images, sample, row, columns[1], drawn.value)
        for row in rows
    )
    total = (one - down) * above + down * below
    return _cast(xp, (total + one**2 // 2) >> (2 * PART_BITS), "uint8")


def _inside(xp: Any, at: Any, size: int, fill: Fill) -> Any:
    """The place in 0..size-1 that stands for the place `at`; -1 for the constant."""
    if fill == "constant":
        return xp.where((at >= 0) & (at < size), at, -1)
    if fill == "nearest":
        return xp.clip(at, 0, size - 1)
    if fill == "wrap":
        return at % size
    period = max(1, 2 * (size - 1)) if fill == "mirror" else 2 * size
    at = at % period
    return xp.where(at < size, at, (period if fill == "mirror" else period - 1) - at)


def _read(xp: Any, images: Any, sample: Any, row: Any, column: Any, value: int) -> Any:
    seen = _cast(xp, images[sample, xp.clip(row, 0, None), xp.clip(column, 0, None)], "int64")
    return xp.where(((row >= 0) & (column >= 0))[..., None], seen, value)


# ----------------------------------------------------------------------------------------------------------- colours


def recolour(xp: Any, images: Any, drawn: DrawnAugmentation) -> Any:
    """The pictures after all their colour steps."""
    for colours, amounts in zip(drawn.colours.T, drawn.amounts.T, strict=True):
        for colour in np.unique(colours[colours > 0]).tolist():
            chosen = np.flatnonzero(colours == colour)
            which = _like(xp, chosen, images)
            amount = _cast(xp, _like(xp, amounts[chosen], images), "float32")[:, None, None, None]
            images[which] = _changed(xp, images[which], Colour(colour), amount)
    return images


def _changed(xp: Any, images: Any, colour: Colour, amount: Any) -> Any:
    """(n, H, W, C) uint8 pictures, all changed by one colour step; `amount` (n, 1, 1, 1)."""
    x = _cast(xp, images, "float32")
    if colour in (Colour.SATURATION, Colour.HUE) and images.shape[3] != 3:
        return images
    if colour == Colour.POSTERIZE:
        step = 2.0 ** (8 - amount)
        return _to_bytes(xp, xp.floor(x / step) * step)
    if colour == Colour.SOLARIZE:
        return _to_bytes(xp, xp.where(x < amount, x, 255 - x))
    if colour in (Colour.AUTOCONTRAST, Colour.EQUALIZE):
        make = _stretching if colour == Colour.AUTOCONTRAST else _equalizing
        return _through(xp, images, make)
    if colour == Colour.HUE:
        return _turned(xp, x, amount)
    if colour == Colour.SHIFT:
        return _to_bytes(xp, x + amount)
    pivot = {
        Colour.BRIGHTNESS: lambda: xp.zeros_like(x),
        Colour.CONTRAST: lambda: _mean_luma(xp, images),
        Colour.SATURATION: lambda: _cast(xp, _luma(xp, images), "float32")[..., None],
        Colour.SHARPNESS: lambda: _smoothed(xp, x),
    }[colour]()
    return _to_bytes(xp, pivot + amount * (x - pivot))


def _luma(xp: Any, images: Any) -> Any:
    """(n, H, W) int64, in Pillow's fixed-point arithmetic; a grey picture's own levels."""
    levels = _cast(xp, images, "int64")
    if images.shape[3] != 3:
        return levels[..., 0]
    return (19595 * levels[..., 0] + 38470 * levels[..., 1] + 7471 * levels[..., 2] + 32768) // 65536


def _mean_luma(xp: Any, images: Any) -> Any:
    pixels = images.shape[1] * images.shape[2]
    mean = (2 * _luma(xp, images).sum((1, 2)) + pixels) // (2 * pixels)
    return _cast(xp, mean, "float32")[:, None, None, None]


def _smoothed(xp: Any, x: Any) -> Any:
    smooth = x + 0
    if min(x.shape[1:3]) > 2:
        height, width = x.shape[1:3]
        rows, columns = ([slice(d, size - 2 + d) for d in range(3)] for size in (height, width))
        total = 4 * x[:, 1:-1, 1:-1]
        for down in rows:
            for right in columns:
                total = total + x[:, down, right]
        smooth[:, 1:-1, 1:-1] = xp.round(total / 13)
    return smooth


def _turned(xp: Any, x: Any, turns: Any) -> Any:
    """Hue in 0..6 round the circle: red 0, green 2, blue 4."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    high, low = xp.maximum(xp.maximum(red, green), blue), xp.minimum(xp.minimum(red, green), blue)
    spread = high - low
    divisor = xp.where(spread > 0, spread, 1.0)
    hue = xp.where(
        high == red,
        (green - blue) / divisor,
        xp.where(high == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = hue + 6 * turns[..., 0]
    # Each channel is the height of a trapezoid over the circle, whose flat top lies around the channel's own hue.
    channels = []
    for n in (5, 3, 1):
        place = (n + hue) % 6
        slope = xp.minimum(place, 4 - place)
        channels.append(high - spread * xp.clip(slope, 0, 1))
    return _to_bytes(xp, xp.stack(channels, 3))


def _through(xp: Any, images: Any, make: Any) -> Any:
    """Each channel of each picture through a table of its own, made from its histogram."""
    count, _, _, channels = images.shape
    first = _like(xp, 256 * np.arange(count * channels).reshape(count, 1, 1, channels), images)
    places = _cast(xp, images, "int64") + first
    histograms = xp.bincount(places.reshape(-1), minlength=256 * count * channels)
    rows = np.asarray(histograms if xp is np else histograms.cpu()).reshape(-1, 256)
    return _like(xp, np.concatenate([make(row) for row in rows]), images)[places]


def _stretching(histogram: NDArray[np.int64]) -> NDArray[np.uint8]:
    used = np.flatnonzero(histogram)
    low, high = int(used[0]), int(used[-1])
    if high == low:
        return np.arange(256, dtype=np.uint8)
    scale = np.float32(255) / np.float32(high - low)
    return np.clip(np.rint((np.arange(256, dtype=np.float32) - low) * scale), 0, 255).astype(np.uint8)


def _equalizing(histogram: NDArray[np.int64]) -> NDArray[np.uint8]:
    used = np.flatnonzero(histogram)
    step = int(histogram.sum() - histogram[used[-1]]) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = np.concatenate([[0], np.cumsum(histogram)[:-1]])
    return np.minimum((below + step // 2) // step, 255).astype(np.uint8)


# ---------------------------------------------------------------------------------------- what differs by framework


def _like(xp: Any, values: NDArray[Any], images: Any) -> Any:
    """Host values beside the images."""
    return values if xp is np else xp.tensor(np.ascontiguousarray(values)).to(images.device)


def _cast(xp: Any, values: Any, dtype: str) -> Any:
    return values.astype(dtype) if xp is np else values.to(getattr(xp, dtype))


def _to_bytes(xp: Any, values: Any) -> Any:
    return _cast(xp, xp.clip(xp.round(values), 0, 255), "uint8")
