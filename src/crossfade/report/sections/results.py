"""What came out: the table of the arms, the seeds and their paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.experiments.statistics import POWER, seeds_in_words
from crossfade.report import figures, words
from crossfade.report.measure import Measure, measure
from crossfade.report.record import Comparison, Run, settings
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE
from crossfade.training.keeper import flattery


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
    bootstrap: str
    seconds: str
    is_baseline: bool


def scores(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """The arms of the summary; of a comparison that has none yet, what its finished trainings say."""
    arms = words.mapping(comparison.summary.get("arms"))
    if arms:
        return {name: words.mapping(arm) for name, arm in arms.items()}
    found = {}
    for name, runs in comparison.runs.items():
        done = [run for run in runs if judged_value(run) is not None]
        found[name] = {
            "seeds": [judged_value(run) for run in done],
            "mean": words.mean(judged_value(run) for run in done),
            "initial_weights": [run.summary.get("initial_weights") for run in runs],
            "seconds": [run.summary.get("seconds") for run in done],
        }
    return found


def is_finished(comparison: Comparison) -> bool:
    """Whether all trainings of a comparison have ended."""
    return bool(comparison.summary.get("arms"))


def arms_section(comparison: Comparison) -> dict[str, Any]:
    """What the section about the arms of a comparison shows."""
    arms = scores(comparison)
    return {
        "is_finished": is_finished(comparison),
        "baseline": words.baseline_of({**comparison.summary, "arms": arms}),
        "measure": measure_of(comparison),
        "judged": judged(comparison),
        "flattered": flattered(comparison.summary, comparison.config),
        "n_seeds": max((len(known(arm.get("seeds"))) for arm in arms.values()), default=0),
        "rows": rows(arms, comparison),
        "score_plots": score_figures(arms, comparison),
        "more_seeds": more_seeds(arms, comparison),
        "caution": str(comparison.summary.get("caution") or ""),
        "own": own_options(comparison),
    }


def own_options(comparison: Comparison) -> list[tuple[str, str]]:
    """(arm, the options that are its own beside its mixing), where arms have such."""
    own = words.mapping(comparison.summary.get("own"))
    told = {arm: [f"{name} {value}" for name, value in words.mapping(mine).items()] for arm, mine in own.items()}
    return [(arm, ", ".join(mine)) for arm, mine in told.items() if mine]


def judged(comparison: Comparison) -> str:
    """On which pictures the arms were judged, and with which weights."""
    part = {"test": "the test part", "val": "the validation part"}.get(str(comparison.summary.get("part")))
    epoch = {"last": "the weights of the last epoch", "best": "the weights of the best validation epoch"}
    said = [part or "", epoch.get(str(comparison.summary.get("epoch")), "")]
    return ", with ".join(filter(None, said))


def flattered(found: Mapping[str, Any], config: str) -> str:
    """What is to be said where the pictures judged chose something, "" where they did not.

    Args:
        found: with "part" and "epoch".
        config: `config.toml`.
    """
    options = settings(config)
    return flattery(found, options.get("patience"), options.get("schedule"))


def metric_of(run: Run) -> str:
    """The metric a training is judged by."""
    return str(words.mapping(run.summary.get("judged")).get("metric") or "accuracy")


def judged_value(run: Run) -> float | None:
    """The value of that metric; where that is not said, on the test part, else on validation."""
    parts = [words.mapping(run.summary.get(part)) for part in ("judged", "test", "val")]
    return next((words.number(part.get(metric_of(run))) for part in parts if part), None)


def measure_of(comparison: Comparison) -> Measure:
    """What the arms are compared by."""
    runs = (run for mine in comparison.runs.values() for run in mine if "judged" in run.summary)
    return measure(comparison.summary.get("metric") or next(map(metric_of, runs), None))


def seeds_of(comparison: Comparison) -> list[str]:
    """The seeds as the summary lists them, else as the folders are named."""
    named = words.listing(comparison.summary.get("seeds"))
    found = named or {run.seed: None for runs in comparison.runs.values() for run in runs}
    return [str(seed) for seed in found]


def known(values: Any) -> list[float]:
    """The finite numbers of a JSON list, without what is none."""
    return [v for v in map(words.number, words.listing(values)) if v is not None]


def rows(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Row]:
    """The table, an arm a row."""
    told = measure_of(comparison)
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
                mean=told.say(arm.get("mean")),
                interval=told.say_interval(arm.get("ci95")),
                seeds=list(zip(labels, map(told.say, values), strict=True)),
                difference=told.gap(gap.get("mean")),
                difference_interval=told.gap_interval(gap.get("ci95")),
                bootstrap=told.gap_interval(gap.get("bootstrap95")),
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
    told = measure_of(comparison)
    shown = [
        figures.Scores(name, known(arm.get("seeds")), mean, words.pair(arm.get("ci95")), figures.arm_color(i))
        for i, (name, arm) in enumerate(arms.items())
        if (mean := words.number(arm.get("mean"))) is not None
    ]
    found = []
    if shown:
        label = f"{told.title}: " + "; ".join(_spoken(arm, told.say, told.say_interval) for arm in shown)
        picture = figures.scores_figure(shown, title=f"{told.title}, seed by seed", measure=told)
        found.append(Plot("scores", label, picture))
    gaps = [gap for i, name in enumerate(arms) if (gap := _gap(i, name, arms, baseline, comparison))]
    if gaps:
        unit = " in points" if told.percent else ""
        label = f"Differences to {baseline}{unit}: "
        label += "; ".join(_spoken(gap, told.gap, told.gap_interval) for gap in gaps)
        picture = figures.differences_figure(gaps, baseline=str(baseline), measure=told)
        found.append(Plot("differences", label, picture))
    return found


def _spoken(arm: figures.Scores, say: Callable[[Any], str], say_interval: Callable[[Any], str]) -> str:
    interval = f" (95% interval {say_interval(arm.interval)})" if arm.interval else ""
    return f"{arm.name} {say(arm.mean)}{interval}"


def _gap(
    i: int, name: str, arms: Mapping[str, Mapping[str, Any]], baseline: str | None, comparison: Comparison
) -> figures.Scores | None:
    gap = _difference(comparison, name, baseline)
    mean = words.number(gap.get("mean"))
    if mean is None or baseline is None:
        return None
    mine, theirs = known(arms[name].get("seeds")), known(arms[baseline].get("seeds"))
    each = [a - b for a, b in zip(mine, theirs, strict=True)] if len(mine) == len(theirs) else []
    return figures.Scores(name, each, mean, words.pair(gap.get("ci95")), figures.arm_color(i))


def more_seeds(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[str]:
    """For each arm whose interval holds zero: how many seeds would tell a difference of the size seen from none."""
    baseline, told = words.baseline_of({**comparison.summary, "arms": arms}), measure_of(comparison)
    found = []
    for name in arms:
        gap = _difference(comparison, name, baseline)
        needed, ends = words.number(gap.get("seeds_needed")), words.pair(gap.get("ci95"))
        if needed is None or ends is None or not ends[0] <= 0 <= ends[1]:
            continue
        size = f"{told.gap(gap.get('mean'))}{' points' if told.percent else ''}"
        found.append(
            f"{words.line(name, 40)}: if {size} is the true difference, {seeds_in_words(round(needed))} in all would "
            f"show it in {POWER:.0%} of comparisons."
        )
    return found
