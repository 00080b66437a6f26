"""What came out: the table of the arms, the seeds and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.report import figures, words
from crossfade.report.record import Comparison, Run
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE


@dataclass(frozen=True)
class Row:
    """A row of the table: one arm."""

    name: str
    color: int
    mean: str
    interval: str
    seeds: list[tuple[str, str]]
    difference: str
    difference_interval: str
    seconds: str
    is_baseline: bool


def scores(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """The arms of the summary; of a comparison that has none yet, what its finished trainings say."""
    arms = words.mapping(comparison.summary.get("arms"))
    if arms:
        return {name: words.mapping(arm) for name, arm in arms.items()}
    found = {}
    for name, runs in comparison.runs.items():
        done = [run for run in runs if accuracy(run) is not None]
        found[name] = {
            "seeds": [accuracy(run) for run in done],
            "mean": words.mean(accuracy(run) for run in done),
            "initial_weights": [run.summary.get("initial_weights") for run in runs],
            "seconds": [run.summary.get("seconds") for run in done],
        }
    return found


def accuracy(run: Run) -> float | None:
    """The accuracy a training is judged by; where that is not said, on the test part, else on validation."""
    parts = [words.mapping(run.summary.get(part)) for part in ("judged", "test", "val")]
    return next((words.number(part.get("accuracy")) for part in parts if part), None)


def seeds_of(comparison: Comparison) -> list[str]:
    """The seeds as the summary lists them, else as the folders are named."""
    named = words.listing(comparison.summary.get("seeds"))
    found = named or {run.seed: None for runs in comparison.runs.values() for run in runs}
    return [str(seed) for seed in found]


def numbers(values: Any) -> list[float]:
    """The finite numbers of a JSON list."""
    return [v for v in map(words.number, words.listing(values)) if v is not None]


def rows(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Row]:
    """The table, an arm a row."""
    baseline = words.baseline_of({**comparison.summary, "arms": arms})
    table = []
    for i, (name, arm) in enumerate(arms.items()):
        gap = _difference(comparison, name, baseline)
        seeds, values = seeds_of(comparison), words.listing(arm.get("seeds"))
        labels = [f"seed {s}" for s in seeds] if len(seeds) == len(values) else [""] * len(values)
        table.append(
            Row(
                name=name,
                color=i % len(PALETTE),
                mean=words.percent(arm.get("mean")),
                interval=words.percent_interval(arm.get("ci95")),
                seeds=list(zip(labels, map(words.percent, values), strict=True)),
                difference=words.points(gap.get("mean")),
                difference_interval=words.points_interval(gap.get("ci95")),
                seconds=words.duration(words.mean(words.listing(arm.get("seconds")))),
                is_baseline=name == baseline,
            )
        )
    return table


def _difference(comparison: Comparison, name: str, baseline: str | None) -> Mapping[str, Any]:
    differences = words.mapping(comparison.summary.get("differences"))
    return words.mapping(differences.get(f"{name} - {baseline}"))


def score_figures(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Plot]:
    """The dots of the seeds with their intervals, and the same for the paired differences."""
    baseline = words.baseline_of({**comparison.summary, "arms": arms})
    shown = [
        figures.Scores(name, numbers(arm.get("seeds")), mean, words.pair(arm.get("ci95")), figures.arm_color(i))
        for i, (name, arm) in enumerate(arms.items())
        if (mean := words.number(arm.get("mean"))) is not None
    ]
    found = []
    if shown:
        label = "Accuracy: " + "; ".join(f"{arm.name} {words.percent(arm.mean)}" for arm in shown)
        picture = figures.scores_figure(shown)
        found.append(Plot("scores", label, picture, picture))
    gaps = [gap for i, name in enumerate(arms) if (gap := _gap(i, name, arms, baseline, comparison))]
    if gaps:
        label = f"Differences to {baseline}: " + "; ".join(f"{g.name} {words.points(g.mean)} points" for g in gaps)
        picture = figures.differences_figure(gaps, baseline=str(baseline))
        found.append(Plot("differences", label, picture, picture))
    return found


def _gap(
    i: int, name: str, arms: Mapping[str, Mapping[str, Any]], baseline: str | None, comparison: Comparison
) -> figures.Scores | None:
    gap = _difference(comparison, name, baseline)
    mean = words.number(gap.get("mean"))
    if mean is None or baseline is None:
        return None
    mine, theirs = numbers(arms[name].get("seeds")), numbers(arms[baseline].get("seeds"))
    each = [a - b for a, b in zip(mine, theirs, strict=True)] if len(mine) == len(theirs) else []
    return figures.Scores(name, each, mean, words.pair(gap.get("ci95")), figures.arm_color(i))
