"""Figures: pure functions from data to a matplotlib `Figure`, which `save` writes as PNG or SVG.

Every function draws under `STYLE`, in a context that is left as it was found; pyplot stays unloaded.
The colours are those of Okabe and Ito (2008), told apart by the colour-blind, with grey for the baseline.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from crossfade.report.words import MINUS, caption, label_weights, line

P = ParamSpec("P")

INK, MUTED, RULE, GRID = "#1c2127", "#5b6670", "#b9c0c7", "#e4e7ea"
PALETTE = ("#56616b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f6b32")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Arial Unicode MS",
)

STYLE: dict[Any, Any] = {
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "crossfade",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
}


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


@contextmanager
def style() -> Iterator[None]:
    """Draw in our style; a name in a script that no font here has is no reason for a warning."""
    installed = set(fontManager.get_font_names())
    family = [*STYLE["font.family"], *(font for font in _SCRIPTS if font in installed)]
    with warnings.catch_warnings(), matplotlib.rc_context({**STYLE, "font.family": family}):
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph .*missing from")
        yield


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            return draw(*args, **kwargs)

    return wrapped


def save(
    figure: Figure,
    path: Path | str | IO[Any],
    *,
    format: str | None = None,
    dpi: int = 160,
    transparent: bool = False,
) -> None:
    """Write a figure as PNG or SVG, by the ending of `path`; the same figure gives the same bytes.

    Raises:
        ValueError: the ending names a format that matplotlib cannot write.
        OSError: nothing can be written there.
    """
    kind = format or Path(str(path)).suffix.lstrip(".").lower()
    undated: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
        "png": {"Software": None},
    }
    with style():
        figure.savefig(path, format=kind, dpi=dpi, metadata=undated.get(kind, {}), transparent=transparent)


def arm_color(i: int) -> str:
    """The colour of arm number `i`; arm 0 is the baseline."""
    return PALETTE[i % len(PALETTE)]


def arm_dash(i: int) -> Any:
    """The line style of arm number `i`, which tells arms apart where there is no colour."""
    return DASHES[i % len(DASHES)]


@_styled
def scores_figure(arms: Sequence[Scores], *, title: str = "Accuracy, seed by seed") -> Figure:
    """A row per arm: a full dot for the mean on the line of its 95% interval, an open dot per seed below."""
    return _rows(arms, title, lambda v: f"{v:.1f}%", lambda x, _: f"{x:g}%")[0]


@_styled
def differences_figure(arms: Sequence[Scores], *, baseline: str) -> Figure:
    """A row per arm: its accuracy minus that of the baseline, in points, seed by seed, with the interval."""
    title = f"Points above {line(baseline, 24)}, seed by seed"
    figure, ax = _rows(arms, title, _signed, lambda x, _: f"{x:+g}".replace("-", MINUS) if x else "0")
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.12 * (high - low)), max(high, 0.12 * (high - low)))
    for row in range(len(arms)):
        ax.plot([0, 0], [row - 0.16, row + 0.34], color=INK, lw=1, zorder=1.5)
    return figure


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def _rows(
    arms: Sequence[Scores], title: str, say: Callable[[float], str], ticks: Callable[..., str]
) -> tuple[Figure, Axes]:
    height = 0.85 + 0.66 * max(1, len(arms))
    figure = Figure(figsize=(5, height))
    ax = figure.add_axes((0.005, 0.38 / height, 0.99, 1 - 0.78 / height))
    ax.set_title(title)
    for row, arm in enumerate(arms):
        _row(ax, row, arm, say(100 * arm.mean))
    ax.set_ylim(len(arms) - 0.45, -0.72)
    ax.set_yticks([])
    ax.grid(True, axis="x")
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(ticks))
    return figure, ax


def _row(ax: Axes, row: int, arm: Scores, mean: str) -> None:
    if arm.interval is not None:
        ax.plot(
            [100 * v for v in arm.interval],
            [row, row],
            color=arm.color,
            lw=2.4,
            solid_capstyle="round",
            zorder=2,
        )
    ax.plot(
        [100 * v for v in arm.values],
        [row + 0.2] * len(arm.values),
        "o",
        color=arm.color,
        ms=4.2,
        mfc="white",
        mew=1.1,
        zorder=3,
        gid="seeds",
    )
    ax.plot([100 * arm.mean], [row], "o", color=arm.color, ms=9, zorder=2.5)
    place: dict[str, Any] = {
        "transform": ax.get_yaxis_transform(),
        "va": "bottom",
        "fontsize": 11,
        "zorder": 4,
    }
    ax.text(0, row - 0.2, line(arm.name, 38), ha="left", color=INK, **place)
    ax.text(1, row - 0.2, mean, ha="right", color=INK, fontweight="bold", **place)


@_styled
def curves_figure(curves: Sequence[Curve], *, title: str, percent: bool = False, legend: bool = False) -> Figure:
    """The mean of each arm over its seeds, epoch by epoch, in a band from the lowest to the highest seed."""
    figure = Figure(figsize=(5, 3.3 if legend else 3.0))
    ax = figure.add_axes((0.11, 0.17, 0.885, 0.58 if legend else 0.68))
    scale = 100 if percent else 1
    for curve in curves:
        _curve(ax, curve, scale)
    ax.set_title(title, x=-0.11 / 0.885, pad=30 if legend else 12)
    ax.set_xlabel("epoch")
    ax.margins(x=0.02)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%" if percent else f"{y:g}"))
    if legend:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.135, 0.99),
            ncols=4,
            fontsize=9.5,
            handlelength=1.8,
            columnspacing=1.2,
        )
    return figure


def _curve(ax: Axes, curve: Curve, scale: float) -> None:
    known = np.isfinite(curve.values)
    epochs = 1 + np.flatnonzero(known.any(axis=0))
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


@_styled
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
    _histogram(ax, edges, counts, color)
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


def _histogram(ax: Axes, edges: np.ndarray, counts: np.ndarray, color: str) -> None:
    ax.stairs(counts, edges, fill=True, color=color, lw=0)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, max(1.0, 1.08 * float(np.max(counts, initial=0))))
    ax.set_yticks([])
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    ax.grid(False)


@_styled
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
    _heading(figure, title)
    _pictures(figure, shape, images, captions, None)
    return figure


@_styled
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
    shape = _grid_shape(images, None)
    strip = 1.45
    figure = Figure(figsize=(shape.width, shape.height + shape.head + strip))
    _heading(figure, title)
    captions = [caption(w, names) for w, names in zip(weights, layer_names, strict=True)]
    shares = [[w for _, w in label_weights(row, names)] for row, names in zip(weights, layer_names, strict=True)]
    _pictures(figure, shape, images, captions, shares)
    full = shape.height + shape.head + strip
    ax = figure.add_axes((0.2 / shape.width, 0.5 / full, 1 - 0.4 / shape.width, 0.52 / full))
    lambdas = np.asarray(lambdas, dtype=np.float64)
    mixed = lambdas[lambdas < 1]
    _histogram(ax, np.linspace(0, 1, 51), np.histogram(mixed, bins=50, range=(0, 1))[0], PALETTE[1])
    ax.set_title("lambda, the weight a sample keeps", fontsize=9.5, pad=6)
    share = (
        f"{100 * len(mixed) / len(lambdas):.0f}% of {len(lambdas):,} samples mixed" if len(lambdas) else "no samples"
    )
    ax.text(1, 1.12, share, transform=ax.transAxes, ha="right", color=MUTED, fontsize=9)
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


def _heading(figure: Figure, title: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(
        0.2 / width,
        1 - 0.38 / height,
        line(title, int(11 * width)),
        fontsize=13,
        fontweight="bold",
        va="center",
    )


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
        ax = figure.add_axes(
            (left / width, (top - shape.picture_height) / height, size / width, shape.picture_height / height)
        )
        ax.set_axis_off()
        crisp = max(image.shape[:2]) < 96
        ax.imshow(
            image.repeat(3, axis=-1) if image.shape[-1] == 1 else image,
            aspect="auto",
            interpolation="none" if crisp else "auto",
        )
        if shares is not None:
            _share_bar(figure, left, top - shape.picture_height - 0.07, size, shares[i])
        figure.text(
            left / width,
            (top - shape.picture_height - 0.13) / height,
            _folded(text),
            fontsize=8,
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


def _folded(text: str) -> str:
    """At most three lines, a class each."""
    parts = text.split(" / ")
    shown = parts if len(parts) <= 3 else [*parts[:2], f"and {len(parts) - 2} more"]
    return "\n".join(line(part, 24) for part in shown)
