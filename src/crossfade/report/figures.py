"""Figures of numbers: pure functions from data to a matplotlib `Figure`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from crossfade.report.measure import MEASURES, Measure
from crossfade.report.style import DASHES, INK, MUTED, PALETTE, styled
from crossfade.report.words import MINUS, line

MOST_EPOCHS = 120  # drawn of a curve: more are not told apart at the width of a column
ACCURACY = MEASURES["accuracy"]


@dataclass(frozen=True)
class Scores:
    """One arm: a value per seed, their mean and its interval, all shares (0.745) or differences of them."""

    name: str
    values: Sequence[float]
    mean: float
    interval: tuple[float, float] | None
    color: str = PALETTE[0]


@dataclass(frozen=True)
class Curve:
    """One arm: `values` (seeds, epochs), NaN where a run has not got so far."""

    name: str
    values: np.ndarray
    color: str = PALETTE[0]
    dash: Any = "-"


def arm_color(i: int) -> str:
    """The colour of arm number `i`; arm 0 is the baseline."""
    return PALETTE[i % len(PALETTE)]


def arm_dash(i: int) -> Any:
    """The line style of arm number `i`, which tells arms apart where there is no colour."""
    return DASHES[i % len(DASHES)]


@styled
def scores_figure(
    arms: Sequence[Scores], *, title: str = "Accuracy, seed by seed", measure: Measure = ACCURACY
) -> Figure:
    """A row per arm: a full dot for the mean on the line of its 95% interval, an open dot per seed below."""
    unit = "%" if measure.percent else ""
    return _rows(arms, title, measure.scale, measure.say, lambda x, _: f"{x:g}{unit}")[0]


@styled
def differences_figure(arms: Sequence[Scores], *, baseline: str, measure: Measure = ACCURACY) -> Figure:
    """A row per arm: its value minus that of the baseline, seed by seed, with the interval."""
    what = "Points" if measure.percent else measure.title
    title = f"{what} above {line(baseline, 24)}, seed by seed"
    figure, ax = _rows(arms, title, measure.scale, measure.gap, _signed)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.12 * (high - low)), max(high, 0.12 * (high - low)))
    for row in range(len(arms)):
        ax.plot([0, 0], [row - 0.16, row + 0.34], color=INK, lw=1, zorder=1.5)
    return figure


def _signed(value: float, _: int) -> str:
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def _rows(
    arms: Sequence[Scores], title: str, scale: float, say: Callable[[float], str], ticks: Callable[..., str]
) -> tuple[Figure, Axes]:
    height = 0.85 + 0.66 * max(1, len(arms))
    figure = Figure(figsize=(5, height))
    ax = figure.add_axes((0.005, 0.38 / height, 0.99, 1 - 0.78 / height))
    ax.set_title(title)
    for row, arm in enumerate(arms):
        _row(ax, row, arm, scale, say(arm.mean))
    ax.set_ylim(len(arms) - 0.45, -0.72)
    ax.set_yticks([])
    ax.grid(True, axis="x")
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(ticks))
    return figure, ax


def _row(ax: Axes, row: int, arm: Scores, scale: float, mean: str) -> None:
    if arm.interval is not None:
        ax.plot(
            [scale * v for v in arm.interval],
            [row, row],
            color=arm.color,
            lw=2.4,
            solid_capstyle="round",
            zorder=2,
        )
    ax.plot(
        [scale * v for v in arm.values],
        [row + 0.2] * len(arm.values),
        "o",
        color=arm.color,
        ms=4.2,
        mfc="white",
        mew=1.1,
        zorder=3,
        gid="seeds",
    )
    ax.plot([scale * arm.mean], [row], "o", color=arm.color, ms=9, zorder=2.5)
    place: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "va": "bottom",
        "fontsize": 11,
        "zorder": 4,
    }
    ax.text(0, row - 0.2, line(arm.name, 38), ha="left", color=INK, **place)
    ax.text(1, row - 0.2, mean, ha="right", color=INK, fontweight="bold", **place)


@styled
def curves_figure(
    curves: Sequence[Curve], *, title: str, percent: bool = False, legend: bool = False, small: bool = False
) -> Figure:
    """The mean of each arm over its seeds, epoch by epoch, in a band from the lowest to the highest seed."""
    left, width = (0.2, 0.79) if small else (0.11, 0.885)
    figure = Figure(figsize=(2.6, 1.9) if small else (5, 3.3 if legend else 3.0))
    ax = figure.add_axes((left, 0.2, width, 0.61) if small else (left, 0.17, width, 0.58 if legend else 0.68))
    for curve in curves:
        _curve(ax, curve, 100 if percent else 1)
    look: dict[str, Any] = {"fontsize": 9.5} if small else {}
    ax.set_title(title, x=-left / width, pad=9 if small else 30 if legend else 12, **look)
    if small:
        ax.tick_params(labelsize=8.5)
    else:
        ax.set_xlabel("epoch")
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator(4 if small else 6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(3 if small else 5, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%" if percent else f"{y:g}"))
    if legend:
        legend_above(ax)
    return figure


def legend_above(ax: Axes) -> None:
    """The arms in a row or more between the title and the axes."""
    look: dict[str, Any] = {"ncols": 4, "fontsize": 9.5, "handlelength": 1.8, "columnspacing": 1.2}
    ax.legend(loc="lower left", bbox_to_anchor=(-0.135, 0.99), **look)


def _thinned(epochs: np.ndarray) -> np.ndarray:
    """At most `MOST_EPOCHS` of them, evenly, the first and the last among them."""
    chosen = np.linspace(0, len(epochs) - 1, min(len(epochs), MOST_EPOCHS))
    return epochs[np.rint(chosen).astype(int)]


def _curve(ax: Axes, curve: Curve, scale: float) -> None:
    known = np.isfinite(curve.values)
    epochs = 1 + _thinned(np.flatnonzero(known.any(axis=0)))
    if not len(epochs):
        return
    values = np.ma.masked_array(scale * curve.values, ~known)[:, epochs - 1]
    if len(values) > 1:
        ax.fill_between(
            epochs,
            values.min(axis=0).filled(np.nan),
            values.max(axis=0).filled(np.nan),
            color=curve.color,
            alpha=0.16,
            lw=0,
        )
    ax.plot(
        epochs,
        values.mean(axis=0).filled(np.nan),
        color=curve.color,
        ls=curve.dash,
        lw=1.9,
        marker="o" if len(epochs) < 4 else None,
        ms=4,
        label=line(curve.name, 38),
    )


@styled
def lambda_figure(
    edges: np.ndarray,
    counts: np.ndarray,
    *,
    title: str,
    unmixed: int = 0,
    total: int = 0,
    color: str = PALETTE[1],
) -> Figure:
    """How often a sample kept which weight (lambda), and beside it the share that was not mixed at all."""
    figure = Figure(figsize=(5, 2.6))
    ax = figure.add_axes((0.005, 0.2, 0.99, 0.54))
    lambda_bars(ax, edges, counts, color)
    ax.set_title(line(title, 40), pad=24)
    ax.set_xlabel("lambda: the weight a sample keeps")
    if total:
        mixed = 100 * (total - unmixed) / total
        ax.text(
            0,
            1.06,
            f"{mixed:.0f}% of {total:,} samples mixed",
            transform=ax.transAxes,
            color=MUTED,
            fontsize=10,
        )
    return figure


def lambda_bars(ax: Axes, edges: np.ndarray, counts: np.ndarray, color: str) -> None:
    """The counts of lambda as bars over 0..1."""
    ax.stairs(counts, edges, fill=True, color=color, lw=0)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(1.0, 1.08 * float(np.max(counts, initial=0))))
    ax.set_yticks([])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.grid(False)
