"""What was drawn to change each picture of a batch, and what that means: the definition, for every framework.

    warped[y, x] = image(matrix @ (y, x, 1))        bilinear between pixels, beyond the border by `fill`
    changed      = step_n(... step_1(warped))       each step a `Colour` and its amount

All results are rounded to nearest uint8. Geometry is computed in whole numbers, the matrix in 2^-32 of a pixel and the
place between pixels in 64ths, so that it is the same to the last bit in every framework and on every device, also where
there are no 64 bits. The functions here take the operations `xp` of the framework of their arrays; `augment_kernels`
does the same in compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.ops import Ops

Fill = Literal["constant", "nearest", "reflect", "mirror", "wrap"]
FILLS: tuple[Fill, ...] = ("constant", "nearest", "reflect", "mirror", "wrap")
UNIT_BITS = 32  # of a pixel, in the matrix
PART_BITS = 6  # of a pixel, between two pixels
LIMB_BITS = 13  # an entry of the matrix is carried in three: 2^-6, 2^-19 and 2^-32 of a pixel
LARGEST = np.array([2**10, 2**10, 2**20])  # entries of a matrix; of pictures of 2^13 pixels a side, none overflows
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
        """(B, 2, 3): where in the picture, in rows and columns, the pixel (y, x) of the result is looked up. As an
        argument of a traced function, its `limbs` (B, 2, 3, 3) int32."""  # noqa: D209

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


def augment(xp: Ops, images: Any, drawn: DrawnAugmentation) -> Any:
    """(B, H, W, C) uint8 -> the same, augmented; `images` stays as it is."""
    return recolour(xp, warp(xp, images, drawn), drawn)


# ---------------------------------------------------------------------------------------------------------- geometry


def whole_matrix(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """The matrix in units of 2^-32 of a pixel."""
    return np.rint(matrix * 2.0**UNIT_BITS).astype(np.int64)


def limbs(matrix: NDArray[np.float64]) -> NDArray[np.int32]:
    """(..., 3): the whole matrix in three numbers of 32 bits, the highest first; only that one has a sign."""
    whole = whole_matrix(matrix)
    lowest, middle = whole % 2**LIMB_BITS, (whole >> LIMB_BITS) % 2**LIMB_BITS
    return np.stack([whole >> 2 * LIMB_BITS, middle, lowest], axis=-1).astype(np.int32)


def from_limbs(numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """The matrix that `limbs` was made of, to 2^-32 of a pixel."""
    high, middle, lowest = np.moveaxis(numbers.astype(np.int64), -1, 0)
    return (((high << LIMB_BITS) + middle << LIMB_BITS) + lowest) / 2.0**UNIT_BITS


def warp(xp: Ops, images: Any, drawn: DrawnAugmentation) -> Any:
    """The pictures read at ``matrix @ (y, x, 1)``, (B, H, W, C) uint8."""
    _, height, width, channels = images.shape
    place = _places(xp, images, drawn)
    low, part = place // 2**PART_BITS, (place % 2**PART_BITS)[..., None]
    rows = [_inside(xp, low[:, 0] + step, height, drawn.fill) for step in (0, 1)]
    columns = [_inside(xp, low[:, 1] + step, width, drawn.fill) for step in (0, 1)]
    first = (xp.span(xp.count(images), images) * height)[:, None, None]
    pixels = xp.reshape(images, (-1, channels))

    def read(row: Any, column: Any) -> Any:
        at = (first + xp.clip(row, 0, height)) * width + xp.clip(column, 0, width)
        seen = xp.cast(xp.take(pixels, at), "int32")
        return xp.where(((row >= 0) & (column >= 0))[..., None], seen, drawn.value)

    one, down, right = 2**PART_BITS, part[:, 0], part[:, 1]
    above, below = ((one - right) * read(row, columns[0]) + right * read(row, columns[1]) for row in rows)
    total = (one - down) * above + down * below
    return xp.cast((total + one**2 // 2) // one**2, "uint8")


def _places(xp: Ops, images: Any, drawn: DrawnAugmentation) -> Any:
    """(B, 2, H, W) int32: where each pixel is looked up, in 64ths of a pixel, rounded; limb by limb, with carry."""
    matrix = drawn.matrix if len(drawn.matrix.shape) == 4 else limbs(drawn.matrix)
    numbers = xp.like(matrix, images)[:, :, :, None, None]
    y, x = xp.span(images.shape[1], images)[:, None], xp.span(images.shape[2], images)[None, :]
    high, middle, lowest = (
        numbers[:, :, 0, ..., n] * y + numbers[:, :, 1, ..., n] * x + numbers[:, :, 2, ..., n] for n in range(3)
    )
    carried = middle + lowest // 2**LIMB_BITS + 2 ** (LIMB_BITS - 1)
    return high + carried // 2**LIMB_BITS


def _inside(xp: Ops, at: Any, size: int, fill: Fill) -> Any:
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


# ----------------------------------------------------------------------------------------------------------- colours


def recolour(xp: Ops, images: Any, drawn: DrawnAugmentation) -> Any:
    """The pictures after all their colour steps."""
    known = isinstance(drawn.colours, np.ndarray)
    for n in range(drawn.colours.shape[1]):
        step = _step_known if known else _step_unknown
        images = step(xp, images, drawn.colours[:, n], drawn.amounts[:, n])
    return images


def _step_known(xp: Ops, images: Any, colours: NDArray[np.int64], amounts: NDArray[np.float64]) -> Any:
    """Each colour changes those pictures that drew it."""
    for colour in np.unique(colours[colours > 0]).tolist():
        which = np.flatnonzero(colours == colour)
        indices = xp.like(which, images)
        amount = xp.like(amounts[which].astype(np.float32), images)[:, None, None, None]
        images = xp.put(images, indices, _changed(xp, xp.take(images, indices), Colour(colour), amount))
    return images


def _step_unknown(xp: Ops, images: Any, colours: Any, amounts: Any) -> Any:
    """The same while it is not known who drew what: each colour that anybody drew changes all, and is kept by some."""
    colours, amounts = (xp.like(values, images)[:, None, None, None] for values in (colours, amounts))

    def change(colour: Colour, images: Any) -> Any:
        return xp.where(colours == int(colour), _changed(xp, images, colour, amounts), images)

    for colour in list(Colour)[1:]:
        images = xp.only_if(xp.any(colours == int(colour)), partial(change, colour), images)
    return images


def _changed(xp: Ops, images: Any, colour: Colour, amount: Any) -> Any:
    """(n, H, W, C) uint8 pictures, all changed by one colour step; `amount` (n, 1, 1, 1)."""
    x = xp.cast(images, "float32")
    if colour in (Colour.SATURATION, Colour.HUE) and images.shape[3] != 3:
        return images
    if colour == Colour.POSTERIZE:
        step = 2.0 ** (8 - amount)
        return _to_bytes(xp, xp.floor(x / step) * step)
    if colour == Colour.SOLARIZE:
        return _to_bytes(xp, xp.where(x < amount, x, 255 - x))
    if colour in (Colour.AUTOCONTRAST, Colour.EQUALIZE):
        return _through(xp, images, _stretching if colour == Colour.AUTOCONTRAST else _equalizing)
    if colour == Colour.HUE:
        return _turned(xp, x, amount)
    if colour == Colour.SHIFT:
        return _to_bytes(xp, x + amount)
    pivot = {
        Colour.BRIGHTNESS: lambda: 0 * x,
        Colour.CONTRAST: lambda: _mean_luma(xp, images),
        Colour.SATURATION: lambda: xp.cast(_luma(xp, images), "float32")[..., None],
        Colour.SHARPNESS: lambda: _smoothed(xp, x),
    }[colour]()
    return _to_bytes(xp, pivot + amount * (x - pivot))


def _luma(xp: Ops, images: Any) -> Any:
    """(n, H, W) int32, in Pillow's fixed-point arithmetic; a grey picture's own levels."""
    levels = xp.cast(images, "int32")
    if images.shape[3] != 3:
        return levels[..., 0]
    return (19595 * levels[..., 0] + 38470 * levels[..., 1] + 7471 * levels[..., 2] + 32768) // 65536


def _mean_luma(xp: Ops, images: Any) -> Any:
    pixels = images.shape[1] * images.shape[2]
    total = xp.sum(xp.cast(_luma(xp, images), xp.whole()), (1, 2))
    return xp.cast((2 * total + pixels) // (2 * pixels), "float32")[:, None, None, None]


def _smoothed(xp: Ops, x: Any) -> Any:
    """What `roll` brings in from the other side would count at the border only, which stays."""
    height, width = x.shape[1:3]
    total = 4 * x
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            total = total + xp.roll(x, down, right)
    rows, columns = xp.span(height, x)[:, None, None], xp.span(width, x)[:, None]
    inner = (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    return xp.where(inner, xp.round(total / 13), x)


def _turned(xp: Ops, x: Any, turns: Any) -> Any:
    """Hue in 0..6 round the circle: red 0, green 2, blue 4."""
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    high, low = xp.amax(x, 3), xp.amin(x, 3)
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
        slope = xp.where(place < 2, place, 4 - place)
        channels.append(high - spread * xp.clip(slope, 0, 1))
    return _to_bytes(xp, xp.stack(channels))


def _through(xp: Ops, images: Any, make: Callable[[Ops, Any, Any], Any]) -> Any:
    """Each channel of each picture through a table of its own, made from its histogram."""
    count, channels = xp.count(images), images.shape[3]
    first = xp.reshape(256 * xp.span(count * channels, images), (-1, 1, 1, channels))
    places = xp.cast(images, "int32") + first
    histograms = xp.cast(xp.bincount(xp.reshape(places, (-1,)), 256 * count * channels), "int32")
    tables = make(xp, xp.reshape(histograms, (-1, 256)), xp.span(256, images))
    return xp.take(xp.reshape(xp.cast(tables, "uint8"), (-1,)), places)


def _stretching(xp: Ops, histograms: Any, levels: Any) -> Any:
    """(n, 256) tables of (n, 256) histograms: the used levels spread over all."""
    low = xp.amin(xp.where(histograms > 0, levels, 255), 1)[:, None]
    high = xp.amax(xp.where(histograms > 0, levels, 0), 1)[:, None]
    spread = xp.cast(xp.where(high > low, high - low, 1), "float32")
    scale = (255 + 0 * spread) / spread  # PyTorch takes a number divided by an array for a product
    stretched = xp.clip(xp.round(xp.cast(levels - low, "float32") * scale), 0, 255)
    return xp.where(high > low, xp.cast(stretched, "int32"), levels)


def _equalizing(xp: Ops, histograms: Any, levels: Any) -> Any:
    """(n, 256) tables of (n, 256) histograms: each level as high as there are darker pixels."""
    last = xp.amax(xp.where(histograms > 0, levels, 0), 1)[:, None]
    total = xp.sum(xp.where(levels < last, histograms, 0), (1,))[:, None]
    step = xp.cast(total, "int32") // 255
    below = xp.cast(xp.cumsum(histograms), "int32") - histograms
    even = xp.clip((below + step // 2) // xp.where(step > 0, step, 1), 0, 255)
    return xp.where(step > 0, even, levels)


def _to_bytes(xp: Ops, values: Any) -> Any:
    return xp.cast(xp.clip(xp.round(values), 0, 255), "uint8")
