"""A picture in 96 bytes, by which re-encoded and resized copies of it are recognised: see `likeness`.

    bytes 0..63    8 x 8 means of (R + 2 G + B) / 4
    bytes 64..95   4 x 4 means of (R, B)

A mean is taken over an equal number of lines, which are repeated or left out evenly where a picture has not a multiple
of 8 of them, and over exact shares of the width. All sums are of whole numbers below 2^24, which float32 holds exactly:
a sketch depends neither on the machine nor on the order of adding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

CELLS = 8
COLOUR_CELLS = CELLS // 2
GREY_BYTES = CELLS * CELLS
SKETCH_BYTES = GREY_BYTES + 2 * COLOUR_CELLS**2
MOST_LINES = 128  # that are looked at, and ...
MOST_COLUMNS = 512  # ... columns; products this small are not worth threads to the linear algebra library, either


AT_A_TIME = 64  # pictures that stay in the processor's cache meanwhile
SMALL = 1 << 15  # bytes of a picture that is small


def is_regular(shape: tuple[int, ...]) -> bool:
    """Whether pictures of this shape are small and need no `Sketcher.add`."""
    height, width, channels = shape
    return height > 0 and height % CELLS == 0 and height <= MOST_LINES and height * width * channels <= SMALL


class Sketcher:
    """Sketches the pictures of a chunk, all pictures of one shape at once."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[int, ...], tuple[list[int], list[Pixels]]] = {}

    def add(self, row: int, image: Pixels) -> None:
        """Take in an (H, W, C) picture; only what will be looked at is kept until `finish`."""
        height, width = image.shape[:2]
        if height % CELLS or height > MOST_LINES:
            image = image[_spread(height, MOST_LINES)]
        if width > MOST_COLUMNS:
            image = image[:, _spread(width, MOST_COLUMNS)]
        rows, images = self.waiting.setdefault(image.shape, ([], []))
        rows.append(row)
        images.append(image)

    def finish(self, count: int) -> Pixels:
        """(count, 96) sketches of the rows added; zeros where none was."""
        sketches = np.zeros((count, SKETCH_BYTES), np.uint8)
        for rows, images in self.waiting.values():
            sketches[rows] = sketch(np.stack(images))
        self.waiting.clear()
        return sketches


def sketch_rows(rows: Pixels, chosen: Sequence[int], sketches: Pixels) -> None:
    """Sketch the pictures ``rows[chosen]``, of a regular shape, into ``sketches[chosen]``."""
    for first in range(0, len(chosen), AT_A_TIME):
        some = chosen[first : first + AT_A_TIME]
        unbroken = some[-1] - some[0] + 1 == len(some)
        sketches[some] = sketch(rows[some[0] : some[-1] + 1] if unbroken else rows[some])


def sketch(images: Pixels) -> Pixels:
    """(n, H, W, C) pictures, H a multiple of 8 up to `MOST_LINES`, W up to `MOST_COLUMNS`, C 1 or 3, -> (n, 96)."""
    n, height, width, channels = images.shape
    lines = images.reshape(n * CELLS, height // CELLS, width * channels)
    added = lines[:, 0].astype(np.uint16)
    for line in range(1, height // CELLS):
        added += lines[:, line]
    sums = added.reshape(n, CELLS, width * channels).astype(np.float32) @ _across(width, channels)
    grey = sums[:, :, :CELLS].reshape(n, GREY_BYTES)
    colour = sums[:, 0::2, CELLS:] + sums[:, 1::2, CELLS:]
    means = np.concatenate([grey, colour.reshape(n, -1)], axis=1) / np.float64(height // CELLS * width * 4)
    return np.floor(means + 0.5).astype(np.uint8)


def _spread(side: int, wanted: int) -> NDArray[np.int64]:
    """So many lines or columns, evenly spread, some of them twice if there are fewer."""
    return (np.arange(wanted) * 2 + 1) * side // (2 * wanted)


def _shares(side: int, cells: int) -> NDArray[np.float32]:
    """(cells, side): how much of each pixel is in each cell, in eighths; a row adds up to side * 8 / cells."""
    edges = np.arange(cells + 1) * (side * CELLS // cells)
    pixels = np.arange(side) * CELLS
    overlap = np.minimum(edges[1:, None], pixels + CELLS) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0).astype(np.float32)


@lru_cache(64)
def _across(width: int, channels: int) -> NDArray[np.float32]:
    """(width * channels, 16): 8 cells of grey, times 4; 4 cells of R and of B."""
    grey, colour = _shares(width, CELLS), _shares(width, COLOUR_CELLS)
    if channels == 1:
        return np.concatenate([4 * grey, colour, colour]).T.copy()
    table = np.zeros((width, 3, 2 * CELLS), np.float32)
    for channel, weight in enumerate((1, 2, 1)):
        table[:, channel, :CELLS] = weight * grey.T
    table[:, 0, CELLS : CELLS + COLOUR_CELLS] = colour.T
    table[:, 2, CELLS + COLOUR_CELLS :] = colour.T
    return table.reshape(width * 3, 2 * CELLS)
