"""How it learned: the curves of all arms, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossfade.report import figures
from crossfade.report.sections.plot import Plot, Runs

CURVES = (
    ("val", "accuracy", "Validation accuracy", True),
    ("val", "loss", "Validation loss", False),
    ("train", "accuracy_by_label_weight", "Training accuracy, weighed by labels", True),
    ("train", "loss", "Training loss", False),
)


def curve_figures(runs: Runs, first: int = 0) -> list[Plot]:
    """Four learning curves with all arms in each, those that nothing was recorded for left out."""
    found = []
    for part, name, title, percent in CURVES:
        curves = [
            figures.Curve(
                arm,
                _stacked([run.curve(part, name) for run in mine]),
                figures.arm_color(first + i),
                figures.arm_dash(i),
            )
            for i, (arm, mine) in enumerate(runs.items())
            if mine
        ]
        if any(np.isfinite(curve.values).any() for curve in curves):
            on_page, alone = (
                figures.curves_figure(curves, title=title, percent=percent, legend=legend)
                for legend in (False, len(curves) > 1)
            )
            label = f"{title} by epoch: " + ", ".join(curve.name for curve in curves)
            found.append(Plot(f"{part}-{name.split('_')[0]}", label, on_page, alone))
    return found


def _stacked(curves: Sequence[np.ndarray]) -> np.ndarray:
    """(runs, epochs), filled up with NaN where a run stopped early."""
    table = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table
