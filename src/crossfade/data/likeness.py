"""Near-identical pictures: re-encoded, resized by 0.5 to 2, or slightly brighter, by their sketches.

With g the 64 grey means of a sketch, r and b its 16 means of red and blue, and m the mean of g:

    z = (g - m, (r - m) / 2, (b - m) / 2) / |g - m|
    near-identical:  |z_i - z_j| < NEAR,  and the ratios of height to width differ by less than a tenth

Not every pair is looked at. Pairs to compare are those that share a cell of one of `TABLES` grids over the lowest
frequencies of g, each grid shifted by another amount (locality-sensitive hashing: Datar et al. 2004). Within a cell a
picture is compared with the `NEIGHBOURS` that follow it, so that N pictures take O(N) memory and O(N log N) time.
Pictures that are almost of one colour are not judged at all: their z is little but noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossfade.data.rows import Pixels
from crossfade.data.sketch import CELLS, GREY_BYTES

NEAR = 0.1  # among 60,000 pictures of CIFAR-10, 22 pairs are nearer, all rightly; the nearest digits are 0.11 apart
PLAIN = 4.0  # standard deviation of g, in 0..255
RATIO = 0.1
TABLES = 12
CELL_WIDTH = 0.25
FREQUENCIES = tuple((u, v) for u in range(5) for v in range(5) if 0 < u + v < 5)
NEIGHBOURS = 8
_CHUNK = 1 << 16

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """P pairs of near-identical pictures, the nearest first.

    Attributes:
        first, second: (P,) int64 numbers of pictures, first < second.
        distance: (P,) float64, below `NEAR`.
    """

    first: Numbers
    second: Numbers
    distance: Floats

    def __len__(self) -> int:
        return len(self.first)


def near_identical(sketches: Pixels, sizes: NDArray[np.int32]) -> Pairs:
    """The pairs of near-identical pictures.

    Args:
        sketches: (N, 96) uint8, see `sketch`.
        sizes: (N, 2) height, width.
    """
    judged, low = _lowest_frequencies(sketches)
    found = [np.zeros(0, np.int64)]
    shifts = np.random.default_rng(0).random((TABLES, len(FREQUENCIES)))
    for shift in shifts:
        for first, second in _sharing_a_cell(low, shift):
            # A part of z cannot be further apart than all of it.
            close = ((low[first] - low[second]) ** 2).sum(axis=1) < NEAR**2
            pairs = np.sort(judged[np.stack([first[close], second[close]])], axis=0)
            found.append(pairs[0] * len(sketches) + pairs[1])
    first, second = np.divmod(np.unique(np.concatenate(found)), max(1, len(sketches)))
    distance = _distances(sketches, first, second)
    near = (distance < NEAR) & _same_ratio(sizes, first, second)
    order = np.flatnonzero(near)[np.argsort(distance[near], kind="stable")]
    return Pairs(first[order], second[order], distance[order])


def distance(one: Pixels, other: Pixels) -> Floats:
    """|z_i - z_j| of two (n, 96) arrays of sketches, row by row."""
    difference = _normalised(one) - _normalised(other)
    length: Floats = np.sqrt((difference**2).sum(axis=1))
    return length


def _normalised(sketches: Pixels) -> Floats:
    values = sketches.astype(np.float64)
    values -= values[:, :GREY_BYTES].mean(axis=1, keepdims=True)
    values[:, GREY_BYTES:] /= 2
    contrast = np.sqrt((values[:, :GREY_BYTES] ** 2).sum(axis=1, keepdims=True))
    values /= np.maximum(contrast, 1e-9)
    return values


def _distances(sketches: Pixels, first: Numbers, second: Numbers) -> Floats:
    parts = [slice(start, start + _CHUNK) for start in range(0, len(first), _CHUNK)]
    return np.concatenate([np.zeros(0), *(distance(sketches[first[p]], sketches[second[p]]) for p in parts)])


def _same_ratio(sizes: NDArray[np.int32], first: Numbers, second: Numbers) -> NDArray[np.bool_]:
    ratio = np.log(sizes[:, 0] / sizes[:, 1])
    same: NDArray[np.bool_] = np.abs(ratio[first] - ratio[second]) < RATIO
    return same


def _lowest_frequencies(sketches: Pixels) -> tuple[Numbers, NDArray[np.float32]]:
    """The (n,) pictures that are judged, and the (n, F) low frequencies of their grey z: its cosine transform."""
    place = np.pi / CELLS * (np.arange(CELLS) + 0.5)
    waves = [np.outer(np.cos(u * place), np.cos(v * place)).ravel() for u, v in FREQUENCIES]
    basis = np.stack([wave / np.sqrt((wave**2).sum()) for wave in waves], axis=1)
    judged, low = [np.zeros(0, np.int64)], [np.zeros((0, len(FREQUENCIES)), np.float32)]
    for start in range(0, len(sketches), _CHUNK):
        chunk = sketches[start : start + _CHUNK]
        kept = np.flatnonzero(chunk[:, :GREY_BYTES].std(axis=1) >= PLAIN)
        judged.append(start + kept)
        low.append((_normalised(chunk[kept])[:, :GREY_BYTES] @ basis).astype(np.float32))
    return np.concatenate(judged), np.concatenate(low)


def _sharing_a_cell(low: NDArray[np.float32], shift: Floats) -> list[tuple[Numbers, Numbers]]:
    """Pairs in one cell of one grid: each with the next `NEIGHBOURS` of its cell."""
    cells = np.floor(low / CELL_WIDTH + shift).astype(np.int64)
    keys = np.zeros(len(low), np.int64)
    for column in cells.T:
        keys = keys * 17 + column + 8  # |z| <= 1 is within 8 cells of 0
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    found = []
    for ahead in range(1, NEIGHBOURS + 1):
        shared = np.flatnonzero(keys[ahead:] == keys[:-ahead])
        found.append((order[shared], order[shared + ahead]))
    return found
