"""How figures look: colours, type, and the way they are written as PNG or SVG.

Every function that draws is `styled`: in a context that is left as it was found; pyplot stays unloaded. The colours
are those of Okabe and Ito (2008), told apart by the colour-blind, with grey for the baseline.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from crossfade.report.words import line

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


@contextmanager
def style() -> Iterator[None]:
    """Draw in our style; a name in a script that no font here has is no reason for a warning."""
    installed = set(fontManager.get_font_names())
    family = [*STYLE["font.family"], *(font for font in _SCRIPTS if font in installed)]
    with warnings.catch_warnings(), matplotlib.rc_context({**STYLE, "font.family": family}):
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph .*missing from")
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function draw in our `style`."""

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


def heading(figure: Figure, title: str) -> None:
    """A bold line over the whole figure."""
    width, height = figure.get_size_inches()
    figure.text(
        0.2 / width,
        1 - 0.38 / height,
        line(title, int(11 * width)),
        fontsize=13,
        fontweight="bold",
        va="center",
    )


def show_picture(
    figure: Figure, image: np.ndarray, left: float, top: float, width: float, height: float | None = None
) -> Axes:
    """Put a picture into a figure; small ones are scaled up with crisp pixels.

    Args:
        image: (H, W, C) uint8, C 1, 3 or 4.
        left, top: of its corner, in inches from the left and the upper edge of the figure.
        width, height: in inches; without a height the picture keeps its aspect.
    """
    across, down = figure.get_size_inches()
    height = width * image.shape[0] / image.shape[1] if height is None else height
    ax = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set(visible=True, color=RULE, lw=0.5)  # a white picture on white paper has an end, too
    crisp = max(image.shape[:2]) < 96
    colours = image.repeat(3, axis=-1) if image.shape[-1] == 1 else image
    ax.imshow(colours, aspect="auto", interpolation="none" if crisp else "auto")
    return ax
