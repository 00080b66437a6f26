"""A picture beside bars of what a run takes it for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossfade.report.style import GRID, INK, MUTED, PALETTE, heading, show_picture, styled
from crossfade.report.words import line, plural

WIDTH, MARGIN, HEAD, FOOT = 6.6, 0.2, 0.7, 0.2  # inches
PICTURE, SEEN, BAR = 2.6, 0.8, 0.52
BARS_LEFT = MARGIN + PICTURE + 0.35
LETTERS, TITLE_LETTERS = 34, 54


@styled
def prediction_figure(
    picture: np.ndarray, seen: np.ndarray, classes: Sequence[str], probabilities: np.ndarray, *, top: int, title: str
) -> Figure:
    """A picture, under it what the network is shown of it, and a bar for each of the most probable classes.

    Args:
        picture: (H, W, C) uint8, C 1 or 3.
        seen: (size, size, C) uint8, after the run's preprocessing.
        classes: all names.
        probabilities: (len(classes),), summing to 1.
        top: how many bars; what is left over is one more, in grey.
        title: over the figure.
    """
    best = np.argsort(probabilities)[::-1][:top]
    bars = [(classes[k], float(probabilities[k])) for k in best]
    rest = len(classes) - len(best)
    if rest:
        bars.append((plural(rest, "other class", "other classes"), max(0.0, 1 - sum(share for _, share in bars))))
    shape = np.array(picture.shape[:2])
    down, across = PICTURE * shape / shape.max()
    body = max(down + 0.15 + SEEN, BAR * len(bars))
    figure = Figure(figsize=(WIDTH, HEAD + body + FOOT))
    heading(figure, line(title, TITLE_LETTERS))
    show_picture(figure, picture, MARGIN, HEAD, across, down)
    _show_seen(figure, seen, HEAD + down + 0.15)
    _draw_bars(_axes(figure, body), bars, rest > 0)
    return figure


def _show_seen(figure: Figure, seen: np.ndarray, top: float) -> None:
    show_picture(figure, seen, MARGIN, top, SEEN, SEEN)
    width, height = figure.get_size_inches()
    words = f"what the network\nsees of it:\n{seen.shape[1]} x {seen.shape[0]} pixels"
    left = (MARGIN + SEEN + 0.12) / width
    figure.text(left, 1 - (top + SEEN / 2) / height, words, fontsize=9, color=MUTED, va="center", linespacing=1.35)


def _axes(figure: Figure, body: float) -> Axes:
    width, height = figure.get_size_inches()
    ax = figure.add_axes((BARS_LEFT / width, FOOT / height, 1 - (BARS_LEFT + MARGIN) / width, body / height))
    ax.set_xlim(0, 1)
    ax.set_ylim(body / BAR, 0)
    ax.set_axis_off()
    return ax


def _draw_bars(ax: Axes, bars: Sequence[tuple[str, float]], has_rest: bool) -> None:
    """Each under its name, from the most probable down, on a track that is 100 % long."""
    for number, (name, share) in enumerate(bars):
        grey = has_rest and number == len(bars) - 1
        color = PALETTE[0] if grey else PALETTE[1]
        y = number + 0.62
        ax.barh(y, 1, height=0.26, color=GRID)
        ax.barh(y, share, height=0.26, color=color)
        weight = "bold" if number == 0 else "normal"
        look = {"fontsize": 10.5, "va": "bottom", "color": MUTED if grey else INK, "fontweight": weight}
        ax.text(0, y - 0.2, line(name, LETTERS), **look)
        ax.text(1, y - 0.2, _percent(share), ha="right", **look)


def _percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "< 0.1%"
    if 0.9995 <= share < 1:
        return "> 99.9%"
    return f"{100 * share:.1f}%"
