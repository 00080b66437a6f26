"""Sheets: pictures of a data set beside what becomes of them. Pure functions from arrays to a `Figure`.

All are five inches wide with type of 9 points or more: in a column of 90 mm nothing is smaller than 6.4 points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crossfade.report.figures import lambda_bars
from crossfade.report.style import GRID, INK, MUTED, PALETTE, heading, show_picture, styled
from crossfade.report.words import count, line, plural

WIDTH, MARGIN, HEAD, GAP = 5.0, 0.2, 0.7, 0.1  # inches
LABEL = 1.25  # of a class
MOST_CLASSES = 12
RGB = ((PALETTE[2], "-"), (PALETTE[3], (0, (5, 1.5))), (PALETTE[1], (0, (1.5, 1.2))))


@dataclass(frozen=True)
class ClassRow:
    """A class on its sheet: `pictures` (n, H, W, C) uint8, some of its `count`."""

    name: str
    count: int
    pictures: np.ndarray


@dataclass(frozen=True)
class Normalised:
    """A picture as one normalisation leaves it: `values` (H, W, C) float, about 0..1."""

    name: str
    formula: str
    values: np.ndarray


@styled
def class_sheet(rows: Sequence[ClassRow], *, title: str) -> Figure:
    """A row of pictures for each class, beside its name and count; after twelve classes, how many more there are."""
    shown, columns = rows[:MOST_CLASSES], max(len(row.pictures) for row in rows)
    side = (WIDTH - 2 * MARGIN - LABEL) / columns - 0.06
    more = plural(len(rows) - len(shown), "more class", "more classes") if len(rows) > len(shown) else ""
    figure = Figure(figsize=(WIDTH, HEAD + len(shown) * (side + GAP) + (0.35 if more else 0.1)))
    heading(figure, title)
    most = max(row.count for row in rows)
    for number, row in enumerate(shown):
        top = HEAD + number * (side + GAP)
        _class_label(figure, row, top, most)
        for column, picture in enumerate(row.pictures):
            show_picture(figure, picture, MARGIN + LABEL + column * (side + 0.06), top, side, side)
    if more:
        _write(figure, MARGIN, HEAD + len(shown) * (side + GAP) + 0.05, f"and {more}", color=MUTED)
    return figure


def _class_label(figure: Figure, row: ClassRow, top: float, most: int) -> None:
    """Name and count, over a bar that is as long as the class is large."""
    _write(figure, MARGIN, top, line(row.name, 14), fontweight="bold")
    _write(figure, MARGIN, top + 0.2, count(row.count), color=MUTED)
    width, height = figure.get_size_inches()
    y = 1 - (top + 0.43) / height
    end = MARGIN + (LABEL - 0.2) * row.count / most
    figure.add_artist(Line2D([MARGIN / width, end / width], [y, y], color=PALETTE[1], lw=3, solid_capstyle="butt"))


@styled
def channel_sheet(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], *, title: str) -> Figure:
    """Pictures, a row each, beside their channels, a column each under its name.

    Args:
        rows: of (H, W, C) uint8, as many as there are names.
    """
    side = (WIDTH - 2 * MARGIN + 0.06) / len(names) - 0.06
    side = min(side, 1.5)
    figure = Figure(figsize=(WIDTH, HEAD + 0.22 + len(rows) * (side + 0.06) + 0.14))
    heading(figure, title)
    for column, name in enumerate(names):
        left = MARGIN + column * (side + 0.06)
        _write(figure, left, HEAD - 0.02, name)
        for number, row in enumerate(rows):
            show_picture(figure, row[column], left, HEAD + 0.22 + number * (side + 0.06), side, side)
    return figure


@styled
def titled_sheet(pictures: Sequence[tuple[str, np.ndarray]], *, title: str, columns: int = 3) -> Figure:
    """Pictures, each under its name: a picture and its thresholds, or the original and every augmentation of it.

    Args:
        pictures: (name, (H, W, C) uint8), in the order they are read.
    """
    side = (WIDTH - 2 * MARGIN + GAP) / columns - GAP
    letters = int(side / 0.083)
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(WIDTH, HEAD + rows * (side + 0.34)))
    heading(figure, title)
    for number, (name, picture) in enumerate(pictures):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * (side + GAP), HEAD + row * (side + 0.34)
        _write(figure, left, top - 0.04, line(name, letters))
        show_picture(figure, picture, left, top + 0.18, side, side)
    return figure


@styled
def normalisation_sheet(rows: Sequence[Sequence[Normalised]], *, title: str) -> Figure:
    """Pictures, a row each, as every normalisation leaves them, over the histograms of their values.

    What lies outside 0..1 is shown black or white, and stands in the histogram left of 0 or right of 1.
    """
    columns = len(rows[0])
    side = (WIDTH - 2 * MARGIN + GAP) / columns - GAP
    strip = 0.6
    foot = 0.25 if rows[0][0].values.shape[-1] == 3 else 0.0
    figure = Figure(figsize=(WIDTH, HEAD + 0.42 + len(rows) * (side + strip + 0.42) + foot))
    heading(figure, title)
    if foot:
        keys = [Line2D([], [], color=color, ls=dash, lw=1.4) for color, dash in RGB]
        figure.legend(keys, ["red", "green", "blue"], loc="lower center", ncols=3, fontsize=9, handlelength=2.4)
    for column in range(columns):
        left = MARGIN + column * (side + GAP)
        _write(figure, left, HEAD - 0.04, rows[0][column].name, fontweight="bold")
        _write(figure, left, HEAD + 0.15, rows[0][column].formula, color=MUTED, fontsize=9)
        for number, row in enumerate(rows):
            top = HEAD + 0.42 + number * (side + strip + 0.42)
            values = row[column].values
            show_picture(figure, np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8), left, top, side, side)
            _value_histogram(_axes(figure, left, top + side + 0.06, side, strip), values)
    return figure


def _value_histogram(ax: Axes, values: np.ndarray) -> None:
    edges = np.linspace(-0.3, 1.3, 65)
    inside = np.clip(values, edges[0], edges[-1])
    single = values.shape[-1] == 1
    for channel in range(values.shape[-1]):
        color, dash = (INK, "-") if single else RGB[channel]
        ax.stairs(np.histogram(inside[..., channel], edges)[0], edges, color=color, ls=dash, lw=1.1, fill=False)
    for end in (0, 1):
        ax.axvline(end, color=GRID, lw=1, zorder=0)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.set_xticks([0, 1], ["0", "1"])
    ax.tick_params(labelsize=9, pad=2)
    ax.grid(False)


@styled
def lambda_sheet(lambdas: np.ndarray, *, alpha: float | None, title: str) -> Figure:
    """How often a sample keeps which weight, beside what Beta(alpha, alpha) leads to expect.

    Args:
        lambdas: (m,) weights that samples keep; those that were not mixed (1) are counted apart.
        alpha: None where lambda is not drawn from one Beta distribution.
    """
    figure = Figure(figsize=(WIDTH, 2.9))
    heading(figure, title)
    ax = _axes(figure, MARGIN, 1.0, WIDTH - 2 * MARGIN, 1.3)
    mixed, edges = lambdas[lambdas < 1], np.linspace(0, 1, 51)
    counts = np.histogram(mixed, edges)[0]
    lambda_bars(ax, edges, counts, PALETTE[6])
    ax.set_xlabel("lambda: the weight a sample keeps", fontsize=10)
    words = f"{100 * len(mixed) / max(1, len(lambdas)):.0f}% of {len(lambdas):,} samples mixed"
    if alpha is not None:
        expected = len(mixed) * _beta_shares(alpha, edges)
        ax.stairs(expected, edges, color=INK, lw=1.2, fill=False, baseline=None)
        ax.set_ylim(0, 1.08 * max(1.0, float(counts.max()), float(expected.max())))
        words += f"; line: Beta({alpha:g}, {alpha:g})"
    _write(figure, MARGIN, HEAD - 0.06, words, color=MUTED)
    return figure


def _beta_shares(alpha: float, edges: np.ndarray) -> np.ndarray:
    """The share of Beta(alpha, alpha) between each two edges; exact, also where its density is infinite."""
    from scipy.special import betainc

    return np.diff(betainc(alpha, alpha, edges))


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes in inches from the left and the upper edge."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _write(figure: Figure, left: float, top: float, text: str, **look: str | float) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, va="top", **{"fontsize": 10, **look})
