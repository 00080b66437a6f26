"""Class by class: which ones are named rightly, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.report import words
from crossfade.report.record import Run, matrix_of
from crossfade.report.sections.plot import Runs
from crossfade.report.style import PALETTE

LISTED = 100  # classes on the page, the worst
FURTHER = {"precision": "Precision", "f1": "F1", "auc": "ROC AUC"}


@dataclass(frozen=True)
class ClassRow:
    """One class."""

    name: str
    pictures: int
    recalls: list[tuple[str, float, int]]  # of each arm: in words, width of its bar in percent, colour
    further: list[str]  # of a single training: precision, F1 and AUC, where known


@dataclass(frozen=True)
class Classes:
    """The table of the classes."""

    arms: list[str]
    further: list[str]  # heads of the further columns
    rows: list[ClassRow]
    left_out: int
    sentence: str


def per_class(runs: Runs, classes: Sequence[str], first: int = 0) -> Classes | None:
    """The share of each class that is named rightly, arm by arm, as evaluated or else from the confusion counts."""
    evaluated = is_evaluated(runs)
    found = {arm: [_of_run(run, evaluated) for run in mine] for arm, mine in runs.items()}
    found = {arm: [rows for rows in mine if rows] for arm, mine in found.items()}
    found = {arm: mine for arm, mine in found.items() if mine}
    n = min((len(rows) for mine in found.values() for rows in mine), default=0)
    if not n:
        return None
    names = [*classes[:n], *(f"class {k}" for k in range(len(classes), n))]
    recalls = {arm: [_mean(mine, k, "recall") for k in range(n)] for arm, mine in found.items()}
    single = next(iter(found.values()))[0] if len(found) == 1 and len(next(iter(found.values()))) == 1 else None
    further = [key for key in FURTHER if single and any(words.number(row.get(key)) is not None for row in single)]
    overall = [words.mean(values[k] for values in recalls.values()) for k in range(n)]
    order = sorted((k for k in range(n) if overall[k] is not None), key=lambda k: overall[k] or 0.0)
    colors = {arm: (first + i) % len(PALETTE) for i, arm in enumerate(runs)}
    counts = next(iter(found.values()))[0]
    rows = [
        ClassRow(
            names[k],
            round(words.number(counts[k].get("pictures")) or 0),
            [(words.percent(values[k]), 100 * (values[k] or 0.0), colors[arm]) for arm, values in recalls.items()],
            [words.percent(single[k].get(key)) for key in further] if single else [],
        )
        for k in order[:LISTED]
    ]
    if not rows:
        return None
    worst, best = order[0], order[-1]
    sentence = (
        f"{words.line(names[worst], 40)} is named rightly least often ({words.percent(overall[worst])}), "
        f"{words.line(names[best], 40)} most often ({words.percent(overall[best])})"
    )
    heads = [FURTHER[key] for key in further]
    return Classes(list(recalls), heads, rows, len(order) - len(rows), sentence if best != worst else "")


def is_evaluated(runs: Runs) -> bool:
    """Whether every training of these has been evaluated: arms are only held against each other on one footing."""
    every = [run for mine in runs.values() for run in mine]
    return bool(every) and all(run.evaluation for run in every)


def _of_run(run: Run, evaluated: bool) -> list[Mapping[str, Any]]:
    if evaluated:
        return [words.mapping(row) for row in words.listing(run.evaluation.get("per_class"))]
    return [] if run.confusion is None else from_confusion(run.confusion)


def from_confusion(matrix: np.ndarray) -> list[Mapping[str, Any]]:
    """What counts of truth (rows) against prediction (columns) say of each class; None where nothing can be said."""
    hits, pictures, said = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        {
            "pictures": p,
            "recall": h / p if p else None,
            "precision": h / s if s else None,
            "f1": 2 * h / (p + s) if p + s else None,
        }
        for h, p, s in zip(hits.tolist(), pictures.tolist(), said.tolist(), strict=True)
    ]


def _mean(mine: Sequence[Sequence[Mapping[str, Any]]], k: int, key: str) -> float | None:
    return words.mean(rows[k].get(key) for rows in mine)


def confusion_of(run: Run, evaluated: bool) -> tuple[np.ndarray | None, str]:
    """The counts of truth against prediction, and the part they are of."""
    if evaluated:
        return matrix_of(run.evaluation.get("confusion")), str(words.mapping(run.evaluation.get("data")).get("part"))
    return run.confusion, run.confusion_part
