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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.data.rows import Pixels

CELLS = 8
COLOUR_CELLS = CELLS // 2
GREY_BYTES = CELLS * CELLS
SKETCH_BYTES = GREY_BYTES + 2 * COLOUR_CELLS**2
MOST_LINES = 128  # that are looked at, and ...
MOST_COLUMNS = 512  # ... columns; products this small are not worth threads to the linear algebra library, either
LARGE = 1 << 16  # bytes from which on the lines of a picture are added up at once, rather than copied
PILE, PILE_BYTES = 64, 1 << 19
FEW_SHAPES = 8  # for which room is kept from chunk to chunk
SMALL = 1 << 15  # bytes of a picture that may wait where it lies


def is_regular(shape: tuple[int, ...]) -> bool:
    """Whether pictures of this shape are small and need no `Sketcher.add`."""
    height, width, channels = shape
    return height > 0 and height % CELLS == 0 and height <= MOST_LINES and height * width * channels <= SMALL


class Sketcher:
    """Sketches the pictures of a chunk, those of one shape together.

    They are copied as they come, and sketched before they leave the processor's cache.
    """

    def __init__(self) -> None:
        # Of pictures, or of the added lines of large ones, by lines in a cell and shape.
        self.piles: dict[tuple[int, ...], _Pile] = {}
        self.done: list[tuple[list[int], Pixels]] = []

    def add(self, row: int, image: Pixels) -> None:
        """Take in an (H, W, C) picture."""
        height, width, _ = image.shape
        if height % CELLS or height > MOST_LINES:
            image = image[_spread(height, MOST_LINES)]
        if width > MOST_COLUMNS:
            image = image[:, _spread(width, MOST_COLUMNS)]
        lines = len(image) // CELLS
        values = image if image.size < LARGE else _add_lines(image[None])[0]
        key = (lines, *values.shape)
        pile = self.piles.get(key)
        if pile is None:
            pile = self.piles[key] = _Pile(values)
        pile.values[len(pile.rows)] = values
        pile.rows.append(row)
        if len(pile.rows) == len(pile.values):
            self._clear(lines, pile)

    def finish(self, count: int) -> Pixels:
        """(count, 96) sketches of the rows added; zeros where none was."""
        for (lines, *_), pile in self.piles.items():
            if pile.rows:
                self._clear(lines, pile)
        if len(self.piles) > FEW_SHAPES:
            self.piles.clear()
        sketches = np.zeros((count, SKETCH_BYTES), np.uint8)
        for rows, made in self.done:
            sketches[rows] = made
        self.done.clear()
        return sketches

    def _clear(self, lines: int, pile: _Pile) -> None:
        values = pile.values[: len(pile.rows)]
        self.done.append((pile.rows, _means(values if values.dtype == np.uint16 else _add_lines(values), lines)))
        pile.rows = []


class _Pile:
    """Room for some values of one shape, and the rows they belong to."""

    def __init__(self, first: NDArray[Any]) -> None:
        self.rows: list[int] = []
        self.values = np.empty((max(1, min(PILE, PILE_BYTES // first.nbytes)), *first.shape), first.dtype)


def sketch_rows(rows: Pixels, chosen: Sequence[int], sketches: Pixels) -> None:
    """Sketch the pictures ``rows[chosen]``, of a regular shape, into ``sketches[chosen]``."""
    for first in range(0, len(chosen), PILE):
        some = chosen[first : first + PILE]
        unbroken = some[-1] - some[0] + 1 == len(some)
        sketches[some] = sketch(rows[some[0] : some[-1] + 1] if unbroken else rows[some])


def sketch(images: Pixels) -> Pixels:
    """(n, H, W, C) pictures, H a multiple of 8 up to `MOST_LINES`, W up to `MOST_COLUMNS`, C 1 or 3, -> (n, 96)."""
    return _means(_add_lines(images), images.shape[1] // CELLS)


def _add_lines(images: Pixels) -> NDArray[np.uint16]:
    """(n, H, W, C) -> (n, 8, W, C), the sums of the lines of each cell."""
    n, height, width, channels = images.shape
    lines = images.reshape(n * CELLS, height // CELLS, width * channels)
    added = lines[:, 0].astype(np.uint16)
    for line in range(1, height // CELLS):
        added += lines[:, line]
    return added.reshape(n, CELLS, width, channels)


def _means(added: NDArray[np.uint16], lines: int) -> Pixels:
    """(n, 8, W, C) sums of so many lines -> (n, 96)."""
    n, _, width, channels = added.shape
    sums = added.reshape(n, CELLS, width * channels).astype(np.float32) @ _across(width, channels)
    grey = sums[:, :, :CELLS].reshape(n, GREY_BYTES)
    colour = sums[:, 0::2, CELLS:] + sums[:, 1::2, CELLS:]
    means = np.concatenate([grey, colour.reshape(n, -1)], axis=1) / np.float64(lines * width * 4)
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


@lru_cache(256)
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
