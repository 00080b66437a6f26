"""Affine maps of the plane of a picture, many at once: where the pixel (y, x) of the result is looked up.

All are (B, 3, 3) float64 on (row, column, 1), rows downwards. ``a @ b`` looks up by b first, so the picture is changed
by `a` first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrices = NDArray[np.float64]
Size = tuple[int, int]


def moved(down: ArrayLike, right: ArrayLike) -> Matrices:
    """The picture goes up by `down` and left by `right` pixels: (y, x) shows (y + down, x + right)."""
    down, right = np.broadcast_arrays(np.asarray(down, np.float64), np.asarray(right, np.float64))
    return affine(1, 0, down, 0, 1, right)


def flipped(size: Size, left_right: ArrayLike, up_down: ArrayLike) -> Matrices:
    """Mirrored where the flags (B,) say so."""
    height, width = size
    across, over = np.asarray(left_right, bool), np.asarray(up_down, bool)
    return affine(
        np.where(over, -1, 1),
        0,
        np.where(over, height - 1, 0),
        0,
        np.where(across, -1, 1),
        np.where(across, width - 1, 0),
    )


def turned(degrees: ArrayLike) -> Matrices:
    """Turned about (0, 0), counter-clockwise as one sees it."""
    angle = np.radians(np.asarray(degrees, np.float64))
    return affine(np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0)


def sheared(down: ArrayLike, right: ArrayLike) -> Matrices:
    """Leaning, in degrees: row n goes left by n tan(right) pixels, column n goes up by n tan(down)."""
    return affine(1, np.tan(np.radians(down)), 0, np.tan(np.radians(right)), 1, 0)


def scaled(factor: ArrayLike) -> Matrices:
    """Everything `factor` times as large, seen from (0, 0)."""
    shrunk = 1 / np.asarray(factor, np.float64)
    return affine(shrunk, 0, 0, 0, shrunk, 0)


def cropped(size: Size, top: ArrayLike, left: ArrayLike, height: ArrayLike, width: ArrayLike) -> Matrices:
    """A box of the picture, resized to the whole; edges meet edges, so pixel centres lie half a pixel inside."""
    down, right = np.asarray(height, np.float64) / size[0], np.asarray(width, np.float64) / size[1]
    return affine(down, 0, top + down / 2 - 0.5, 0, right, left + right / 2 - 0.5)


def about_centre(size: Size, matrices: Matrices) -> Matrices:
    """The same map with the middle of the picture in the place of (0, 0)."""
    down, right = (size[0] - 1) / 2, (size[1] - 1) / 2
    return moved(down, right) @ matrices @ moved(-down, -right)


def affine(*entries: ArrayLike) -> Matrices:
    """(B, 3, 3) of the two upper rows, entry by entry, each a number or (B,)."""
    rows = np.stack(np.broadcast_arrays(*(np.asarray(entry, np.float64) for entry in (*entries, 0, 0, 1))), axis=-1)
    return rows.reshape(*rows.shape[:-1], 3, 3)
