"""Resizing a picture: bilinear, antialiased when shrinking, in whole numbers.

Along each axis, first across, then down, every pixel of the result is a weighted mean of the pixels it covers:

    out[x] = sum_n w[x, n] in[first[x] + n],    w[x, n] ~ max(0, 1 - |first[x] + n + 1/2 - centre[x]| / stretch)
    centre[x] = start + (x + 1/2) scale,        scale = (end - start) / size,        stretch = max(scale, 1)

The weights of a pixel sum to 1, are rounded to 22 bits, and each axis is rounded to nearest uint8. That is Pillow's
bilinear filter, bit for bit where Pillow goes across first. Newer versions choose the order by the shape of a picture,
so that what a folder becomes would depend on the version installed; here it does not. Compiled where Numba is
installed, the same bytes from NumPy where it is not.
"""

from __future__ import annotations

import itertools
import math
import sys
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.rows import Pixels

Box = tuple[float, float, float, float]
BITS = 22
FEW = 16  # pictures, which NumPy has resized before Numba is loaded
_resized = itertools.count()


def resize(image: Pixels, height: int, width: int, box: Box | None = None) -> Pixels:
    """Bring a picture, or the part of it in `box`, to `height` x `width` pixels.

    Args:
        image: (H, W, C) uint8.
        box: left, top, right, bottom in pixels, which may lie between pixels; None takes all.

    Returns:
        (height, width, C) uint8; the input itself if nothing is to be done.
    """
    rows, columns = image.shape[:2]
    left, top, right, bottom = box or (0.0, 0.0, float(columns), float(rows))
    if (left, top, right, bottom) == (0, 0, width, height) == (0, 0, columns, rows):
        return image
    across, down = _weights(columns, left, right, width), _weights(rows, top, bottom, height)
    first = int(down[0][0])
    image = np.ascontiguousarray(image[first : int((down[0] + down[1]).max())])
    passes = _passes()
    middle = np.empty((len(image), width, image.shape[2]), np.uint8)
    passes[0](image, middle, *across)
    out = np.empty((height, width, image.shape[2]), np.uint8)
    passes[1](middle, out, down[0] - first, *down[1:])
    return out


@lru_cache(maxsize=512)
def _weights(
    length: int, start: float, end: float, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """(size,) first pixels, (size,) how many, and (size, most) their weights in 2^-22, zero beyond how many."""
    scale = (end - start) / size
    stretch = max(scale, 1.0)
    centre = start + (np.arange(size) + 0.5) * scale
    first = np.maximum(0, (centre - stretch + 0.5).astype(np.int64))
    count = np.minimum(length, (centre + stretch + 0.5).astype(np.int64)) - first
    places = np.arange(math.ceil(stretch) * 2 + 1)
    distance = np.abs((first[:, None] + places - centre[:, None] + 0.5) * (1 / stretch))
    weights = np.where(places < count[:, None], np.maximum(0, 1 - distance), 0)
    total = np.add.accumulate(weights, axis=1)[:, -1:]  # from left to right, as a loop would
    return first, count, np.floor(0.5 + weights / total * (1 << BITS)).astype(np.int32)


def _across(image: Pixels, out: Pixels, first: NDArray[Any], count: NDArray[Any], weights: NDArray[np.int32]) -> None:
    total = np.full(out.shape, 1 << (BITS - 1), np.int32)
    for n in range(int(count.max())):
        column = np.minimum(first + n, image.shape[1] - 1)
        total += image[:, column].astype(np.int32) * weights[:, n, None]
    out[...] = np.clip(total >> BITS, 0, 255)


def _down(image: Pixels, out: Pixels, first: NDArray[Any], count: NDArray[Any], weights: NDArray[np.int32]) -> None:
    _across(image.swapaxes(0, 1), out.swapaxes(0, 1), first, count, weights)


def _passes() -> tuple[Any, Any]:
    """Compiled ones where they are at hand, or there is enough to do to repay loading them."""
    if "numba" not in sys.modules and next(_resized) < FEW:
        return _across, _down
    return _compiled() or (_across, _down)


@cache
def _compiled() -> tuple[Any, Any] | None:
    """The two passes by Numba, or None where it is not installed."""
    try:
        from crossfade.data import _resize_kernels
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        return None
    return _resize_kernels.across, _resize_kernels.down
