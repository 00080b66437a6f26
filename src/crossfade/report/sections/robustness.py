"""What is left of the accuracy when pictures are spoiled or attacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.report import figures, panels, words
from crossfade.report.record import Run
from crossfade.report.sections.plot import Plot, Runs
from crossfade.report.style import PALETTE


@dataclass(frozen=True)
class RobustRow:
    """One arm: its accuracy on clean pictures, and on average over the strengths of each kind."""

    name: str
    color: int
    clean: str
    means: list[str]


@dataclass(frozen=True)
class Robustness:
    """The table, its columns after the clean one, and how many pictures it was measured on."""

    kinds: list[str]
    rows: list[RobustRow]
    pictures: int


@dataclass(frozen=True)
class _Kind:
    title: str
    unit: str
    strengths: list[float]


def robustness(runs: Runs, first: int = 0) -> tuple[Robustness | None, list[Plot]]:
    """A table of all arms and a small figure for each kind of harm; None where nothing was measured."""
    kept = {arm: [found for run in mine if (found := _of_run(run))] for arm, mine in runs.items()}
    kept = {arm: mine for arm, mine in kept.items() if mine}
    kinds = _kinds(found for mine in kept.values() for found in mine)
    if not kept or not kinds:
        return None, []
    indices = {arm: first + i for i, arm in enumerate(runs)}
    curves = {
        kind: {arm: _accuracies(mine, kind, len(known.strengths)) for arm, mine in kept.items()}
        for kind, known in kinds.items()
    }
    rows = []
    for arm, mine in kept.items():
        each = [curves[kind][arm][:, 1:] for kind in kinds]
        means = [words.percent(words.mean(values.ravel().tolist())) for values in each]
        clean = words.percent(words.mean(found.get("clean") for found in mine))
        rows.append(RobustRow(arm, indices[arm] % len(PALETTE), clean, means))
    pictures = next(iter(kept.values()))[0].get("pictures")
    table = Robustness([known.title for known in kinds.values()], rows, round(words.number(pictures) or 0))
    return table, [_plot(kind, known, curves[kind], indices, first) for kind, known in kinds.items()]


def _of_run(run: Run) -> dict[str, Any]:
    found = words.mapping(run.evaluation.get("robustness"))
    return found if words.mapping(found.get("curves")) else {}


def _kinds(every: Any) -> dict[str, _Kind]:
    kinds: dict[str, _Kind] = {}
    for found in every:
        for kind, curve in words.mapping(found.get("curves")).items():
            curve = words.mapping(curve)
            strengths = [s for s in map(words.number, words.listing(curve.get("strengths"))) if s is not None]
            if strengths:
                title = words.line(curve.get("title") or kind, 40)
                kinds.setdefault(kind, _Kind(title, words.line(curve.get("unit") or "", 48), strengths))
    return kinds


def _accuracies(mine: Sequence[Mapping[str, Any]], kind: str, n: int) -> np.ndarray:
    """(trainings, 1 + strengths): clean first, NaN where nothing was measured."""
    table = np.full((len(mine), 1 + n), np.nan)
    for row, found in zip(table, mine, strict=True):
        curve = words.mapping(words.mapping(found.get("curves")).get(kind))
        values = [found.get("clean"), *words.listing(curve.get("accuracy"))][: 1 + n]
        row[: len(values)] = [np.nan if (v := words.number(value)) is None else v for value in values]
    return table


def _plot(kind: str, known: _Kind, values: Mapping[str, np.ndarray], indices: Mapping[str, int], first: int) -> Plot:
    curves = [
        figures.Curve(arm, table, figures.arm_color(indices[arm]), figures.arm_dash(indices[arm] - first))
        for arm, table in values.items()
    ]
    look = {"title": known.title, "unit": known.unit}
    on_page = panels.strengths_figure(curves, known.strengths, **look)
    alone = panels.strengths_figure(curves, known.strengths, **look, legend=True) if len(curves) > 1 else None
    falls = [
        f"{words.line(arm, 40)} from {words.percent(words.mean(table[:, 0]))} on clean pictures "
        f"to {words.percent(words.mean(table[:, -1]))}"
        for arm, table in values.items()
    ]
    label = f"{known.title}: accuracy at strength {known.strengths[-1]:g} {known.unit}".rstrip() + ": "
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in kind)[:40]
    return Plot(f"robustness-{safe}", label + "; ".join(falls) + ".", on_page, alone)
