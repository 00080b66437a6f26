"""All metrics beside each other: what a training reached, what mixing changed besides the one that was compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.report import words
from crossfade.report.measure import MEASURES, Measure
from crossfade.report.record import Comparison, Run
from crossfade.report.style import PALETTE


@dataclass(frozen=True)
class Cell:
    """One metric of one arm."""

    label: str
    value: str
    interval: str
    gap: str  # to the baseline, "" for itself
    gap_interval: str
    verdict: str  # "better", "worse", or "" where no difference was shown


@dataclass(frozen=True)
class MetricRow:
    """All metrics of one arm."""

    name: str
    color: int
    cells: list[Cell]


def besides(comparison: Comparison) -> list[MetricRow]:
    """All metrics of all arms with their differences to the baseline: as evaluated, else as judged after training."""
    evaluated = words.mapping(comparison.evaluation.get("arms"))
    source = evaluated or words.mapping(comparison.summary.get("arms"))
    table = {arm: words.mapping(words.mapping(found).get("metrics")) for arm, found in source.items()}
    shown = [m for name, m in MEASURES.items() if any(name in metrics for metrics in table.values())]
    if len(shown) < 2:
        return []
    baseline = words.baseline_of({"baseline": comparison.summary.get("baseline"), "arms": table})
    gaps = words.mapping((comparison.evaluation if evaluated else comparison.summary).get("differences"))
    order = list(comparison.runs) or list(table)
    return [
        MetricRow(
            arm,
            (order.index(arm) if arm in order else i) % len(PALETTE),
            [_cell(m, metrics, words.mapping(gaps.get(f"{arm} - {baseline}"))) for m in shown],
        )
        for i, (arm, metrics) in enumerate(table.items())
    ]


def _cell(m: Measure, metrics: Mapping[str, Any], gaps: Mapping[str, Any]) -> Cell:
    found = words.mapping(metrics.get(m.name))
    gap = words.mapping(words.mapping(gaps.get("metrics")).get(m.name) or gaps.get(m.name))
    return Cell(
        label=m.title,
        value=m.say(found.get("mean")),
        interval=m.say_interval(found.get("ci95")),
        gap=m.gap(gap.get("mean")) if gap else "",
        gap_interval=m.gap_interval(gap.get("ci95")) if gap else "",
        verdict=m.favours(gap.get("ci95")),
    )


@dataclass(frozen=True)
class Result:
    """All metrics of a training on some pictures."""

    title: str
    cells: list[tuple[str, str]]  # value, interval ("" where none was taken)


def results_of(run: Run) -> tuple[list[str], list[Result]]:
    """The names of the metrics and a row for each set of pictures a training was judged on."""
    parts = {"test": "Test part", "val": "Validation part, best epoch", "last": "Validation part, last epoch"}
    rows = [(title, words.mapping(run.summary.get(key))) for key, title in parts.items()]
    rows = [(title, scores) for title, scores in rows if scores]
    values = [(title, {name: (scores.get(name), None) for name in scores}) for title, scores in rows]
    evaluated = words.mapping(run.evaluation.get("metrics"))
    if evaluated:
        pairs = {name: (words.mapping(e).get("value"), words.mapping(e).get("ci95")) for name, e in evaluated.items()}
        values.append(("Evaluated, with 95% intervals", pairs))
    nothing = (None, None)
    known = {name for _, row in values for name, (value, _) in row.items() if words.number(value) is not None}
    shown = [m for name, m in MEASURES.items() if name in known]
    found = [
        Result(title, [_with_interval(m, *row.get(m.name, nothing)) for m in shown] + [_loss(row)])
        for title, row in values
    ]
    has_loss = any("loss" in row and "log_loss" not in row for _, row in values)  # else they are the same
    if not has_loss:
        found = [Result(result.title, result.cells[:-1]) for result in found]
    return [m.title for m in shown] + (["Loss"] if has_loss else []), found


def _with_interval(m: Measure, value: Any, ends: Any) -> tuple[str, str]:
    return m.say(value), m.say_interval(ends) if words.pair(ends) else ""


def _loss(row: Mapping[str, tuple[Any, Any]]) -> tuple[str, str]:
    return words.decimal(row.get("loss", (None,))[0]), ""
