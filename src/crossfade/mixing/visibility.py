"""How much of each layer is seen: as shares of a picture, and pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crossfade.mixing.plan import Plan

EVEN = 1e-6  # shares that differ by less are even: so they are for float32 numbers, too


def shares(plan: Plan) -> NDArray[np.float64]:
    """(B, K) float64, as `Plan.visible` says."""
    _, height, width = plan.shape
    if plan.layers == 2 and plan.mask is None:
        return _pixels_of_two(plan) / (height * width)
    areas, coverage = _cells(plan)
    pixels = [(share * areas).sum(axis=(1, 2)) for share in _uncovered(coverage)]
    return np.stack(pixels, axis=1) / (height * width)


def dominant(plan: Plan) -> NDArray[np.int8]:
    """(B, H, W) int8, as `Plan.dominant` says."""
    batch, height, width = plan.shape
    each = _uncovered(_coverage(plan, np.arange(height)[None], np.arange(width)[None]))
    best = np.zeros((batch, height, width), np.int8)
    highest = np.broadcast_to(next(each), best.shape).copy()
    for layer, share in enumerate(each, start=1):
        above = share > highest * (1 + EVEN)
        best[above] = layer
        highest[above] = share[above]
    return best


def _pixels_of_two(plan: Plan) -> NDArray[np.float64]:
    """(B, 2) pixels of two layers, which most plans have: their cells are in and out of one box."""
    _, height, width = plan.shape
    top, left, bottom, right = plan.box[:, 1].T.astype(np.float64)
    covered, opacity = (bottom - top) * (right - left), plan.opacity[:, 1].astype(np.float64)
    return np.stack([(1 - opacity) * covered + (height * width - covered), opacity * covered], axis=1)


def _cells(plan: Plan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas (B, R, C) of cells in which no opacity changes, and the opacity (K, B, R, C) of each layer there.

    Without a mask the edges of the boxes cut the picture into at most (2K-1)^2 cells; with one, a cell is a pixel.
    """
    batch, height, width = plan.shape
    if plan.mask is not None:
        return np.ones((1, height, width)), _coverage(plan, np.arange(height)[None], np.arange(width)[None])
    rows = np.sort(plan.box[:, :, 0::2].reshape(batch, -1), axis=1)
    columns = np.sort(plan.box[:, :, 1::2].reshape(batch, -1), axis=1)
    areas = np.diff(rows)[:, :, None] * np.diff(columns)[:, None, :]
    return areas.astype(np.float64), _coverage(plan, rows[:, :-1], columns[:, :-1])


def _coverage(plan: Plan, rows: NDArray[np.integer], columns: NDArray[np.integer]) -> NDArray[np.float64]:
    """a_k (K, B, R, C) at the given rows (B or 1, R) and columns (B or 1, C): all of them where there is a mask."""
    top, left, bottom, right = (edge.T[:, :, None] for edge in np.moveaxis(plan.box, -1, 0))
    inside_rows = (top <= rows) & (rows < bottom)
    inside_columns = (left <= columns) & (columns < right)
    inside = inside_rows[:, :, :, None] & inside_columns[:, :, None, :]
    coverage: NDArray[np.float64] = inside * plan.opacity.T.astype(np.float64)[:, :, None, None]
    if plan.mask is not None:
        coverage[1] *= plan.mask
    return coverage


def _uncovered(coverage: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """For each layer, bottom first: a_k * prod_{m > k} (1 - a_m)."""
    for k in range(len(coverage)):
        share = coverage[k]
        for above in coverage[k + 1 :]:
            share = share * (1 - above)
        yield share
