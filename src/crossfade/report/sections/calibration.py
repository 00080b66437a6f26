"""Whether the model is right as often as it says: reliability before and after a temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.report import figures, panels, words
from crossfade.report.sections.plot import Plot, Runs
from crossfade.report.style import PALETTE


@dataclass(frozen=True)
class CalibrationRow:
    """The numbers of one arm, means over its trainings."""

    name: str
    color: int
    ece: str
    temperature: str
    ece_after: str
    log_loss: str
    log_loss_after: str
    habit: str  # "too sure", "not sure enough", ""


def calibrations(runs: Runs, first: int = 0) -> tuple[list[CalibrationRow], list[Plot]]:
    """A row and a reliability figure for each arm that was evaluated."""
    rows, plots = [], []
    for i, (arm, mine) in enumerate(runs.items(), first):
        found = [words.mapping(run.evaluation.get("calibration")) for run in mine]
        found = [each for each in found if words.listing(each.get("bins"))]
        if not found:
            continue
        before, after = (pooled([words.listing(each.get(key)) for each in found]) for key in ("bins", "bins_after"))
        means = {key: words.mean(each.get(key) for each in found) for key in NUMBERS}
        habit = _habit(before)
        rows.append(CalibrationRow(arm, i % len(PALETTE), *(words.decimal(means[key]) for key in NUMBERS), habit=habit))
        picture = panels.reliability_figure(before, after, title=arm, color=figures.arm_color(i))
        plots.append(Plot(f"calibration-{i}", _label(arm, before, means, habit), picture))
    return rows, plots


NUMBERS = ("ece", "temperature", "ece_after", "log_loss", "log_loss_after")


def pooled(lists: Sequence[Sequence[Any]]) -> np.ndarray:
    """(bins, 3) count, confidence, accuracy of the same bins of several trainings; empty ones are left out."""
    sums: dict[float, np.ndarray] = {}
    for row in (words.mapping(row) for rows in lists for row in rows):
        low, count, sure, right = (words.number(row.get(k)) for k in ("low", "count", "confidence", "accuracy"))
        if low is None or not count or sure is None or right is None:
            continue
        sums[low] = sums.get(low, np.zeros(3)) + count * np.array([1.0, sure, right])
    table = np.array([sums[low] for low in sorted(sums)]).reshape(-1, 3)
    table[:, 1:] /= table[:, :1]
    return table


def _habit(bins: np.ndarray) -> str:
    if not len(bins):
        return ""
    sure, right = np.average(bins[:, 1:], axis=0, weights=bins[:, 0])
    return "" if abs(sure - right) < 0.01 else "too sure" if sure > right else "not sure enough"


def _label(arm: str, bins: np.ndarray, means: Mapping[str, float | None], habit: str) -> str:
    said = f"Reliability of {words.line(arm, 40)}: calibration error {words.decimal(means['ece'])}"
    if len(bins):
        sure, right = np.average(bins[:, 1:], axis=0, weights=bins[:, 0])
        said += f"; it says {words.percent(sure)} on average and is right in {words.percent(right)}"
        said += f", so it is {habit}" if habit else ""
    if means["ece_after"] is not None:
        said += (
            f"; with temperature {words.decimal(means['temperature'])} the error is {words.decimal(means['ece_after'])}"
        )
    return said + "."
