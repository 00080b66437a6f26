"""Pictures in a grid, each over its caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crossfade.report.figures import lambda_bars
from crossfade.report.style import MUTED, PALETTE, heading, show_picture, styled
from crossfade.report.words import caption, label_weights, line

COLUMNS = 3  # five inches wide, so that type can still be read where a figure is a column of 90 mm


@styled
def mixed_grid(images: np.ndarray, captions: Sequence[str], *, columns: int | None = None, title: str = "") -> Figure:
    """Pictures in a grid, each over its caption; small ones are scaled up with crisp pixels.

    Args:
        images: (n, H, W, C) uint8, C 1, 3 or 4.
        captions: n of them.
        columns: by itself, as many as leave the last row fullest.
        title: above the grid.
    """
    shape = _grid_shape(images, columns)
    figure = Figure(figsize=(shape.width, shape.height + shape.head))
    heading(figure, title)
    _pictures(figure, shape, images, captions, None)
    return figure


@styled
def preview_figure(
    images: np.ndarray,
    weights: np.ndarray,
    layer_names: Sequence[Sequence[str]],
    lambdas: np.ndarray,
    title: str,
) -> Figure:
    """The mixed pictures with their label weights, over a small histogram of lambda.

    Args:
        images: (n, H, W, C) uint8, mixed, as the model will see them.
        weights: (n, K) label weight of each layer.
        layer_names: n lists of K class names, "" for a layer that is not there.
        lambdas: (m,) the weight each of m samples keeps; m may be larger than n.
        title: above the pictures.
    """
    shape = _grid_shape(images, COLUMNS)
    strip = 1.45
    figure = Figure(figsize=(shape.width, shape.height + shape.head + strip))
    heading(figure, title)
    captions = [caption(w, names) for w, names in zip(weights, layer_names, strict=True)]
    shares = [[w for _, w in label_weights(row, names)] for row, names in zip(weights, layer_names, strict=True)]
    _pictures(figure, shape, images, captions, shares)
    full = shape.height + shape.head + strip
    ax = figure.add_axes((0.2 / shape.width, 0.5 / full, 1 - 0.4 / shape.width, 0.52 / full))
    lambdas = np.asarray(lambdas, dtype=np.float64)
    mixed = lambdas[lambdas < 1]
    lambda_bars(ax, np.linspace(0, 1, 51), np.histogram(mixed, bins=50, range=(0, 1))[0], PALETTE[1])
    ax.set_title("lambda: weight kept", fontsize=10, pad=6)
    share = (
        f"{100 * len(mixed) / len(lambdas):.0f}% of {len(lambdas):,} samples mixed" if len(lambdas) else "no samples"
    )
    ax.text(1, 1.12, share, transform=ax.transAxes, ha="right", color=MUTED, fontsize=10)
    return figure


@dataclass(frozen=True)
class _Grid:
    """Inches: the pictures and captions of `columns` x `rows` cells under a head."""

    columns: int
    rows: int
    cell: float
    picture_height: float
    head: float = 0.7
    margin: float = 0.2
    foot: float = 0.62
    type_size: float = 9.5
    letters: int = 17  # that fit under a picture

    @property
    def width(self) -> float:
        return max(3, self.columns) * self.cell + 2 * self.margin

    @property
    def height(self) -> float:
        return self.rows * (self.picture_height + self.foot)


def _grid_shape(images: np.ndarray, columns: int | None) -> _Grid:
    n, height, width = images.shape[:3]
    columns = (
        min(n, columns) if columns else min(n, min(range(3, 9), key=lambda c: (-n % c, abs(c - (1.6 * n) ** 0.5))))
    )
    cell = 1.55
    return _Grid(columns, -(-n // columns), cell, (cell - 0.15) * min(3.0, height / width))


def _pictures(
    figure: Figure,
    shape: _Grid,
    images: np.ndarray,
    captions: Sequence[str],
    shares: Sequence[Sequence[float]] | None,
) -> None:
    width, height = figure.get_size_inches()
    for i, (image, text) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(i, shape.columns)
        left = shape.margin + column * shape.cell
        top = height - shape.head - row * (shape.picture_height + shape.foot)
        size = shape.cell - 0.15
        show_picture(figure, image, left, height - top, size, shape.picture_height)
        if shares is not None:
            _share_bar(figure, left, top - shape.picture_height - 0.07, size, shares[i])
        figure.text(
            left / width,
            (top - shape.picture_height - 0.13) / height,
            _folded(text, shape.letters),
            fontsize=shape.type_size,
            va="top",
            linespacing=1.25,
        )


def _share_bar(figure: Figure, left: float, y: float, size: float, shares: Sequence[float]) -> None:
    width, height = figure.get_size_inches()
    start = 0.0
    for i, share in enumerate(shares):
        ends = [(left + size * min(1, e)) / width for e in (start, start + share)]
        bar = Line2D(ends, [y / height] * 2, color=PALETTE[1 + i % 7], lw=3, solid_capstyle="butt")
        figure.add_artist(bar)
        start += share


def _folded(text: str, letters: int) -> str:
    """At most three lines, a class each."""
    parts = text.split(" / ")
    shown = parts if len(parts) <= 3 else [*parts[:2], f"and {len(parts) - 2} more"]
    return "\n".join(line(part, letters) for part in shown)
