"""A picture in 96 bytes, by which re-encoded and resized copies of it are recognised: see `likeness`.

    bytes 0..63    8 x 8 means of (R + 2 G + B) / 4
    bytes 64..95   4 x 4 means of (R, B)

A mean is taken over an exact share of the picture, parts of pixels included; of a picture with many lines, over
evenly spread ones. All sums are of whole numbers that float32 (below 2^24) or float64 holds exactly, so a sketch
depends neither on the machine nor on the order of adding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

CELLS = 8
COLOUR_CELLS = CELLS // 2
GREY_BYTES = CELLS * CELLS
SKETCH_BYTES = GREY_BYTES + 2 * COLOUR_CELLS**2
MOST_LINES = 128  # that are looked at
SMALL = 64  # columns up to which one large product for all pictures is faster than one for each


class Sketcher:
    """Sketches the pictures of a chunk, all pictures of one shape at once."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[int, ...], tuple[list[int], list[Pixels]]] = {}

    def add(self, row: int, image: Pixels) -> None:
        """Take in an (H, W, C) picture; only the lines that will be looked at are kept until `finish`."""
        height = image.shape[0]
        if height > MOST_LINES:
            image = image[(np.arange(MOST_LINES) * 2 + 1) * height // (2 * MOST_LINES)]
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


def sketch(images: Pixels) -> Pixels:
    """(n, H, W, C) pictures of at most `MOST_LINES`, C 1 or 3, -> (n, 96)."""
    n, height, width, channels = images.shape
    down, across = _shares(height, CELLS), _across(width, channels)
    lines = images.reshape(n, height, width * channels).astype(np.float32)
    if width <= SMALL:
        wide = lines.reshape(n * height, -1) @ across
        sums = down.astype(np.float64) @ wide.reshape(n, height, 2 * CELLS)
    else:
        sums = (down @ lines).astype(np.float64) @ across
    grey = sums[:, :, :CELLS].reshape(n, GREY_BYTES)
    colour = sums[:, 0::2, CELLS:] + sums[:, 1::2, CELLS:]
    means = np.concatenate([grey, colour.reshape(n, -1)], axis=1) / (4 * height * width)
    return np.floor(means + 0.5).astype(np.uint8)


@lru_cache(256)
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
