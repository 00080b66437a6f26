"""Small figures that stand in rows: reliability, robustness, the learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from crossfade.report.figures import Curve
from crossfade.report.style import INK, MUTED, PALETTE, RULE, styled
from crossfade.report.words import line

LOOK = {"fontsize": 9.5}


@styled
def reliability_figure(before: np.ndarray, after: np.ndarray, *, title: str, color: str = PALETTE[1]) -> Figure:
    """How often the model is right against how sure it is; below, how many pictures it is how sure of.

    Args:
        before, after: (bins, 3) count, confidence, accuracy; without and with the temperature, empty where none was
            fitted.
    """
    figure = Figure(figsize=(2.9, 3.4))
    ax = figure.add_axes((0.15, 0.31, 0.83, 0.54))
    ax.plot([0, 1], [0, 1], color=RULE, lw=1, zorder=1)
    if len(after):
        ax.plot(after[:, 1], after[:, 2], color=MUTED, lw=1.2, ls=(0, (4, 2)), zorder=2)
        ax.plot(after[:, 1], after[:, 2], "o", color=MUTED, mfc="white", ms=4, mew=1.1, zorder=2.5)
    if len(before):
        ax.plot(before[:, 1], before[:, 2], "o-", color=color, lw=1.6, ms=4.5, zorder=3)
    ax.set_title(line(title, 30), x=-0.15 / 0.83, pad=21, **LOOK)
    _share_axis(ax, "y")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], [])
    ax.text(-0.15 / 0.83, 1.05, "how often right", transform=ax.transAxes, color=MUTED, fontsize=8.5)
    handles = [Line2D([], [], color=color, marker="o", ms=4, lw=1.4, label="as trained")]
    if len(after):
        look = {"marker": "o", "ms": 3.6, "mfc": "white", "lw": 1.2, "ls": (0, (4, 2))}
        handles.append(Line2D([], [], color=MUTED, label="with temperature", **look))
    ax.legend(handles=handles, loc="lower right", fontsize=8, handlelength=2, borderaxespad=0.2)
    _confidences(figure.add_axes((0.15, 0.15, 0.83, 0.13)), before, color)
    return figure


def _confidences(ax: Axes, bins: np.ndarray, color: str) -> None:
    if len(bins):
        ax.bar(bins[:, 1], bins[:, 0] / bins[:, 0].sum(), width=0.045, color=color, lw=0, alpha=0.8)
    _share_axis(ax, "x")
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.grid(False)
    ax.set_xlabel("how sure it is", fontsize=8.5, labelpad=2)


def _share_axis(ax: Axes, axis: str) -> None:
    ticks, names = [0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100%"]
    ax.set_xlim(-0.02, 1.02)
    if axis == "x":
        ax.set_xticks(ticks, names, fontsize=8.5)
    else:
        ax.set_ylim(-0.02, 1.02)
        ax.set_yticks(ticks, names, fontsize=8.5)


@styled
def strengths_figure(
    curves: Sequence[Curve], strengths: Sequence[float], *, title: str, unit: str = "", legend: bool = False
) -> Figure:
    """Accuracy against the strength of a harm, clean pictures first; the strengths stand at equal distances.

    Args:
        curves: of each arm (seeds, 1 + strengths), shares.
    """
    head = 0.25 if legend else 0.0
    figure = Figure(figsize=(2.9, 2.1 + head))
    height = 2.1 + head
    ax = figure.add_axes((0.15, 0.44 / height, 0.83, 1.3 / height))
    places = np.arange(1 + len(strengths))
    for curve in curves:
        mean, low, high = (take(curve.values, axis=0) for take in (_mean, np.min, np.max))
        if len(curve.values) > 1:
            ax.fill_between(places, 100 * low, 100 * high, color=curve.color, alpha=0.16, lw=0)
        ax.plot(
            places, 100 * mean, color=curve.color, ls=curve.dash, lw=1.7, marker="o", ms=3, label=line(curve.name, 30)
        )
    ax.set_title(line(title, 30), x=-0.15 / 0.83, pad=9 + 72 * head, **LOOK)
    ax.set_ylim(0, 102)
    ax.set_yticks([0, 50, 100], ["0", "50", "100%"], fontsize=8.5)
    ax.set_xticks(places, ["clean", *(f"{s:g}" for s in strengths)], fontsize=8)
    ax.set_xlabel(line(unit, 48), fontsize=7.8, labelpad=2)
    if legend:
        ax.legend(loc="lower left", bbox_to_anchor=(-0.2, 0.98), ncols=3, fontsize=8, handlelength=1.8)
    return figure


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    known = np.isfinite(values)
    sums = np.where(known, values, 0).sum(axis=axis)
    return np.where(known.any(axis=axis), sums / np.maximum(1, known.sum(axis=axis)), np.nan)


@styled
def schedule_figure(
    curves: Sequence[Curve], *, title: str = "Learning rate at the end of each epoch", legend: bool = False
) -> Figure:
    """The learning rate at the end of each epoch; one line where all arms share it."""
    figure = Figure(figsize=(5, 2.3))
    ax = figure.add_axes((0.11, 0.22, 0.885, 0.56))
    for curve in curves:
        epochs = 1 + np.arange(curve.values.shape[1])
        color, dash = (curve.color, curve.dash) if legend else (INK, "-")
        marker = "o" if len(epochs) < 4 else None
        for values in curve.values[:1]:
            ax.plot(epochs, values, color=color, ls=dash, lw=1.7, marker=marker, ms=4, label=line(curve.name, 30))
    ax.set_title(title, x=-0.11 / 0.885, pad=12)
    ax.set_xlabel("epoch")
    ax.margins(x=0.02)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    if legend and len(curves) > 1:
        ax.legend(loc="upper right", fontsize=9, handlelength=1.8)
    return figure
