"""Figures of a search: what each trial was worth, against its number, its parameters and its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from crossfade.report.figures import ACCURACY
from crossfade.report.measure import Measure
from crossfade.report.style import INK, MUTED, PALETTE, styled
from crossfade.report.words import line


@dataclass(frozen=True)
class Dot:
    """One trial.

    Attributes:
        x: where it stands.
        value: what it was worth; of one that was given up, when it was.
        finished: whether it came to its end.
        best: whether it is the best of all.
    """

    x: float
    value: float
    color: str = PALETTE[0]
    finished: bool = True
    best: bool = False


@styled
def history_figure(dots: Sequence[Dot], *, measure: Measure = ACCURACY) -> Figure:
    """The trials one after another, and the best value so far as a line of steps."""
    figure = Figure(figsize=(5, 3))
    ax = figure.add_axes((0.11, 0.17, 0.885, 0.68))
    ended = sorted((dot for dot in dots if dot.finished), key=lambda dot: dot.x)
    if ended:
        take = np.minimum if measure.lower else np.maximum
        best = take.accumulate([measure.scale * dot.value for dot in ended])
        last = max(dot.x for dot in dots)
        ax.step([*(dot.x for dot in ended), last], [*best, best[-1]], where="post", color=INK, lw=1.2, zorder=1.5)
    _draw(ax, dots, measure)
    ax.set_title("Trial by trial, and the best so far", x=-0.11 / 0.885)
    ax.set_xlabel("trial")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    return figure


@styled
def cost_figure(dots: Sequence[Dot], *, measure: Measure = ACCURACY) -> Figure:
    """What a trial was worth against the seconds it was trained."""
    figure = Figure(figsize=(5, 3))
    ax = figure.add_axes((0.11, 0.17, 0.885, 0.68))
    _draw(ax, dots, measure)
    ax.set_title("What it was worth, and what it took", x=-0.11 / 0.885)
    ax.set_xlabel("seconds of training")
    ax.set_xlim(left=0)
    return figure


@styled
def parameter_figure(dots: Sequence[Dot], *, title: str, measure: Measure = ACCURACY) -> Figure:
    """What a trial was worth against one of its parameters, by its logarithm."""
    figure = Figure(figsize=(3.3, 2.7))
    ax = figure.add_axes((0.15, 0.15, 0.83, 0.69))
    _draw(ax, dots, measure)
    ax.set_title(line(title, 30), x=-0.15 / 0.83, fontsize=10.5, pad=9)
    ax.set_xscale("log")
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(_locator(_decades(dots)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=9)
    return figure


def _locator(decades: float) -> Locator:
    """Powers of ten; with 2 and 5 between them where there are few; of values that are nearly one, two or three."""
    if decades < 0.5:
        return MaxNLocator(2)
    return LogLocator(10, subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0), numticks=9)


def _decades(dots: Sequence[Dot]) -> float:
    return float(np.log10(max(dot.x for dot in dots) / min(dot.x for dot in dots)))


def _draw(ax: Axes, dots: Sequence[Dot], measure: Measure) -> None:
    """Full dots for trials that came to their end, open ones for those given up, a ring around the best."""
    for color, finished in sorted({(dot.color, dot.finished) for dot in dots}):
        alike = [dot for dot in dots if (dot.color, dot.finished) == (color, finished)]
        look = {"ms": 6.5, "zorder": 3} if finished else {"ms": 5, "mfc": "white", "mew": 1.2, "zorder": 2}
        ax.plot([dot.x for dot in alike], [measure.scale * dot.value for dot in alike], "o", color=color, **look)
    for dot in (dot for dot in dots if dot.best):
        place = dot.x, measure.scale * dot.value
        ax.plot(*place, "o", color=INK, mfc="none", ms=12, mew=1.3, zorder=4)
        ax.annotate(
            measure.say(dot.value), place, xytext=(0, 9), textcoords="offset points", ha="center",
            fontsize=9, color=INK, annotation_clip=False,
        )  # fmt: skip
    ax.margins(x=0.05, y=0.14)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%" if measure.percent else f"{y:g}"))
    ax.tick_params(axis="y", labelcolor=MUTED)
