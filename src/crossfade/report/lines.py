"""Figures of lines that carry their own names: losses, rates and accuracies of the steps of the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from crossfade.report.style import INK, MUTED, PALETTE, styled
from crossfade.report.words import line

LEFT, WIDTH = 0.135, 0.6
APART = 0.085  # of the height: two names one above the other
MOST = 8  # lines of one figure; more are left to a table


@dataclass(frozen=True)
class Line:
    """Values over x, NaN where there are none.

    Attributes:
        name: written at its end; "" for none.
        band: lower and upper end at each x.
        dots: more values at each x, (n, len(x)), as open dots.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str = PALETTE[0]
    dash: Any = "-"
    marker: str = ""
    band: tuple[Sequence[float], Sequence[float]] | None = None
    dots: np.ndarray | None = None


def of_epochs(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Epochs from 1 on, and the values of each."""
    return [float(epoch) for epoch in range(1, len(values) + 1)], list(values)


def of_steps(values: Sequence[float], most: int = 400) -> tuple[list[float], list[float]]:
    """Steps from 1 on, and values: only every so many of them, as a line needs no more points than a screen has."""
    every = -(-len(values) // most) or 1
    steps, kept = of_epochs(values)
    return steps[::every], kept[::every]


@dataclass(frozen=True)
class Mark:
    """A thin line across the figure, with words at its end: at a value of y, or of x."""

    words: str
    y: float | None = None
    x: float | None = None


@styled
def lines_figure(
    lines: Sequence[Line],
    *,
    title: str,
    xlabel: str,
    percent: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[Mark] = (),
    xticks: Sequence[tuple[float, str]] = (),
    ylim: tuple[float | None, float | None] = (None, None),
    wide: bool = False,
) -> Figure:
    """Lines with their names at the right, in place of a legend.

    Args:
        percent: values are shares of 1.
        xticks: places and words, where those of the axis will not do.
        ylim: of the axis; None lets the lines decide.
        wide: without room for names at the right.
    """
    figure = Figure(figsize=(5, 3.1))
    ax = figure.add_axes((LEFT, 0.165, 0.855 if wide else WIDTH, 0.68))
    scale = 100 if percent else 1
    for one in lines:
        _draw(ax, one, scale)
    ax.set_title(title, x=-LEFT / ax.get_position().width)
    ax.set_xlabel(xlabel)
    ax.margins(x=0.02)
    if ylim != (None, None):  # which would keep the limits from following a logarithm
        ax.set_ylim(*(None if end is None else scale * end for end in ylim))
    _axis(ax.xaxis, log_x, xticks)
    _axis(ax.yaxis, log_y, (), percent)
    for mark in marks:
        _mark(ax, mark, scale)
    _names(ax, lines, scale)
    return figure


def _draw(ax: Axes, one: Line, scale: float) -> None:
    x, y = np.asarray(one.x, float), scale * np.asarray(one.y, float)
    if one.band is not None:
        low, high = (scale * np.asarray(end, float) for end in one.band)
        ax.fill_between(x, low, high, color=one.color, alpha=0.14, lw=0)
    if one.dots is not None:
        for row in one.dots:
            ax.plot(x, scale * np.asarray(row, float), "o", color=one.color, ms=3.6, mfc="white", mew=0.9, zorder=2.5)
    alone = one.marker or ("o" if np.isfinite(y).sum() < 2 else "")
    ax.plot(x, y, color=one.color, ls=one.dash, lw=1.9, marker=alone, ms=4.5, zorder=3)


def _axis(axis: Any, log: bool, ticks: Sequence[tuple[float, str]], percent: bool = False) -> None:
    name = axis.axis_name
    if log:
        getattr(axis.axes, f"set_{name}scale")("log")
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    if ticks:
        axis.set_major_locator(FixedLocator([place for place, _ in ticks]))
        words = dict(ticks)
        axis.set_major_formatter(FuncFormatter(lambda v, _: words.get(v, "")))
        return
    if log:
        low, high = sorted(getattr(axis.axes, f"get_{name}lim")())
        few = np.log10(high / low) < 2.2  # decades
        axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if few else (1,), numticks=9 if few else 6))
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=name == "x"))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}%" if percent else f"{v:g}"))


def _mark(ax: Axes, mark: Mark, scale: float) -> None:
    words = line(mark.words, 40)
    if mark.y is not None:
        ax.axhline(scale * mark.y, color=MUTED, lw=1, ls=(0, (2, 2)), zorder=1.5)
        place = ax.get_yaxis_transform()
        below = {"xytext": (0, -3), "textcoords": "offset points", "va": "top", "ha": "right"}
        ax.annotate(words, (1, scale * mark.y), xycoords=place, fontsize=10, color=MUTED, **below)
    if mark.x is not None:
        ax.axvline(mark.x, color=INK, lw=1, zorder=1.5)
        place = ax.get_xaxis_transform()
        right = ax.transAxes.inverted().transform(ax.transData.transform((mark.x, 1)))[0] > 0.6
        gap = {"xytext": (-5 if right else 5, 0), "textcoords": "offset points", "va": "top"}
        ax.annotate(words, (mark.x, 1), xycoords=place, ha="right" if right else "left", fontsize=10.5, **gap)


def _names(ax: Axes, lines: Sequence[Line], scale: float) -> None:
    """Each line's name at the height of its end, moved apart where they would overlap."""
    ends = []
    for one in lines:
        y = np.asarray(one.y, float)
        known = np.flatnonzero(np.isfinite(y))
        if one.name and len(known):
            end = ax.transData.transform((one.x[known[-1]], scale * y[known[-1]]))
            height = float(np.clip(ax.transAxes.inverted().transform(end)[1], 0, 1))
            ends.append((height, one))
    ends.sort(key=lambda end: end[0])
    for height, (_, one) in zip(_apart([height for height, _ in ends]), ends, strict=True):
        sample = Line2D((1.015, 1.055), (height, height), color=one.color, ls=one.dash, lw=1.9, transform=ax.transAxes)
        ax.get_figure().add_artist(sample)  # beside the axes, whose lines are those of the data
        ax.text(1.07, height, line(one.name, 24), transform=ax.transAxes, va="center", fontsize=10, color=INK)


def _apart(heights: Sequence[float]) -> list[float]:
    """Ascending heights, moved to stand `APART`: those that would overlap stand about their mean."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1]) - _top(groups[-2]) < APART:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group) + i * APART for group in groups for i in range(len(group))]


def _bottom(group: Sequence[float]) -> float:
    return sum(group) / len(group) - (len(group) - 1) * APART / 2


def _top(group: Sequence[float]) -> float:
    return _bottom(group) + (len(group) - 1) * APART
