"""How it learned: the schedule, and the curves of all arms, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from crossfade.report import figures, panels, words
from crossfade.report.measure import MEASURES, Measure, measure
from crossfade.report.record import Run
from crossfade.report.sections.plot import Plot, Runs


class Recorded(NamedTuple):
    """A curve in metrics.jsonl."""

    part: str
    name: str
    title: str
    percent: bool


LOSS = Recorded("val", "loss", "Validation loss", False)
TRAINING = (
    Recorded("train", "accuracy_by_label_weight", "Training accuracy, weighed by labels", True),
    Recorded("train", "loss", "Training loss", False),
)


def curve_figures(runs: Runs, metric: str = "accuracy", first: int = 0) -> list[Plot]:
    """The chosen metric and the losses with all arms in each, those that nothing was recorded for left out."""
    shown = [_validation(measure(metric)), LOSS, *TRAINING]
    if metric != "accuracy" and not _has(runs, shown[0]):
        shown.insert(0, _validation(MEASURES["accuracy"]))
    return [plot for recorded in shown if (plot := _plot(runs, recorded, first))]


def further_figures(runs: Runs, metric: str = "accuracy", first: int = 0) -> list[Plot]:
    """The other metrics on the validation part, as small figures."""
    others = [_validation(told) for name, told in MEASURES.items() if name != metric]
    if metric != "accuracy" and not _has(runs, _validation(measure(metric))):
        others = [recorded for recorded in others if recorded.name != "accuracy"]
    others = [recorded for recorded in others if recorded.name != "log_loss"]  # the validation loss, once more
    return [plot for recorded in others if (plot := _plot(runs, recorded, first, small=True))]


def _validation(told: Measure) -> Recorded:
    title = told.title if told.title[:2].isupper() else told.title[0].lower() + told.title[1:]
    return Recorded("val", told.name, f"Validation {title}", told.percent)


def _has(runs: Runs, recorded: Recorded) -> bool:
    every = (run.curve(recorded.part, recorded.name) for mine in runs.values() for run in mine)
    return any(np.isfinite(curve).any() for curve in every)


def _plot(runs: Runs, recorded: Recorded, first: int, small: bool = False) -> Plot | None:
    if not _has(runs, recorded):
        return None
    part, name, title, percent = recorded
    curves = _curves(runs, lambda run: run.curve(part, name), first)
    short = title.removeprefix("Validation ") if small else title
    on_page = figures.curves_figure(curves, title=words.capital(short), percent=percent, small=small)
    several = len(curves) > 1
    alone = figures.curves_figure(curves, title=title, percent=percent, legend=True) if several else None
    said = words.percent if percent else words.decimal
    label = f"{title} by epoch: " + "; ".join(_course(curve, said) for curve in curves) + "."
    return Plot(f"{part}-{name.split('_by_')[0].replace('_', '-')}", label, on_page, alone)


def _course(curve: figures.Curve, say: Callable[[float], str]) -> str:
    """A curve in words: where it begins and where it ends, as the mean over the seeds."""
    known = np.isfinite(curve.values)
    epochs = np.flatnonzero(known.any(axis=0))
    if not len(epochs):
        return f"{curve.name}, nothing recorded"
    begins, ends = (say(float(curve.values[known[:, e], e].mean())) for e in (epochs[0], epochs[-1]))
    if len(epochs) == 1:
        return f"{curve.name} {ends} at epoch {epochs[0] + 1}"
    return f"{curve.name} from {begins} to {ends} at epoch {epochs[-1] + 1}"


def _curves(runs: Runs, of: Callable[[Run], np.ndarray], first: int) -> list[figures.Curve]:
    return [
        figures.Curve(arm, _stacked([of(run) for run in mine]), figures.arm_color(first + i), figures.arm_dash(i))
        for i, (arm, mine) in enumerate(runs.items())
        if mine
    ]


def _stacked(curves: Sequence[np.ndarray]) -> np.ndarray:
    """(runs, epochs), filled up with NaN where a run stopped early."""
    table = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table


def schedule_figures(runs: Runs, first: int = 0) -> list[Plot]:
    """The learning rate at the end of each epoch; a line for each arm only where they differ."""
    curves = _curves(runs, Run.rates, first)
    curves = [curve for curve in curves if np.isfinite(curve.values).any()]
    if not curves:
        return []
    longest = max(curves, key=lambda curve: curve.values.shape[1])
    rates = longest.values[0][np.isfinite(longest.values[0])]
    if not len(rates):
        return []
    is_shared = all(_follows(curve.values, longest.values[0]) for curve in curves)
    picture = panels.schedule_figure([longest] if is_shared else curves, legend=not is_shared)
    label = f"Learning rate at the end of each epoch: {rates[0]:.3g} of the first, {rates[-1]:.3g} of the last"
    label += "." if is_shared else f" ({longest.name}); the arms differ."
    return [Plot("learning-rate", label, picture)]


def _follows(values: np.ndarray, rates: np.ndarray) -> bool:
    """Whether all rows of `values` begin as `rates` does: a training that stopped early has had the same."""
    known = np.isfinite(values)
    return bool(
        np.allclose(values[known], np.broadcast_to(rates[: values.shape[1]], values.shape)[known], equal_nan=True)
    )
