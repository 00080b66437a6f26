"""The page of an ablation: the scores of all arms by the number of training pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossfade.report import words
from crossfade.report.figures import arm_color, arm_dash
from crossfade.report.frame import frame
from crossfade.report.lines import Line, lines_figure
from crossfade.report.measure import Measure, measure
from crossfade.report.record import Experiment, settings
from crossfade.report.render import Page, Section, render
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE
from crossfade.report.words import listing

STORY = (Section("sizes", "By the number of training pictures"),)

Arms = Mapping[str, Mapping[str, Any]]


def ablate_page(ablation: Experiment) -> Page:
    """The page of an ablation, of the sizes that were finished."""
    found = ablation.result
    arms: Arms = {str(name): words.mapping(arm) for name, arm in words.mapping(found.get("arms")).items()}
    told, seeds = measure(found.get("metric")), len(listing(found.get("seeds")))
    facts = [("Metric", told.title), ("Seeds", f"{seeds}"), ("Epochs", words.count(found.get("epochs")))]
    values = {
        **frame(ablation, "ablate", is_finished=_is_finished(ablation), summary=found),
        "headline": str(found.get("headline") or "This ablation has not finished its first size."),
        "sentences": [str(one) for one in listing(found.get("sentences"))],
        "facts": facts,
        "seeds": seeds,
        "part": {"val": "validation", "test": "test"}.get(str(found.get("part")), ""),
        "arms": [(name, i % len(PALETTE)) for i, name in enumerate(arms)],
        "rows": _rows(found, arms, told),
        "remarks": [str(one) for one in listing(found.get("notes"))],
        "ablate_plots": _figures(found, arms, told),
    }
    return render("ablate.html.j2", STORY, values)


def _is_finished(ablation: Experiment) -> bool:
    asked = listing(settings(ablation.config).get("sizes"))
    return len(listing(ablation.result.get("per_class"))) >= len(asked)


def _rows(found: Mapping[str, Any], arms: Arms, told: Measure) -> list[dict[str, Any]]:
    """One for each size, with (mean, interval) of each arm."""
    columns = {name: listing(found.get(name)) for name in ("pictures", "steps")}
    scores = [(listing(arm.get("mean")), listing(arm.get("ci95"))) for arm in arms.values()]
    return [
        {
            "size": str(size),
            **{name: words.count(_at(column, i)) for name, column in columns.items()},
            "scores": [(told.say(_at(means, i)), told.say_interval(_at(ends, i))) for means, ends in scores],
        }
        for i, size in enumerate(listing(found.get("per_class")))
    ]


def _at(values: Sequence[Any], i: int) -> Any:
    return values[i] if i < len(values) else None


def _figures(found: Mapping[str, Any], arms: Arms, told: Measure) -> list[Plot]:
    x = words.numbers(found.get("mean_per_class"))
    lines = (
        [_line(name, i, arm, x) for i, (name, arm) in enumerate(arms.items())] if x and np.greater(x, 0).all() else []
    )
    lines = [one for one in lines if len(one.y) == len(x) and np.isfinite(one.y).any()]
    if not lines:
        return []
    figure = lines_figure(
        lines, title=f"{told.title} by training pictures", xlabel="training pictures a class", percent=told.percent,
        log_x=True, xticks=[(place, f"{round(place):,}") for place in x], ylim=_room(lines, told),
    )  # fmt: skip
    courses = "; ".join(
        f"{words.line(one.name, 40)} from {told.say(one.y[0])} to {told.say(one.y[-1])}" for one in lines
    )
    return [Plot("ablate", f"{told.title} by training pictures a class, {x[0]:g} to {x[-1]:g}: {courses}", figure)]


def _line(name: str, i: int, arm: Mapping[str, Any], x: Sequence[float]) -> Line:
    ends = [pair for one in listing(arm.get("ci95")) if (pair := words.pair(one)) is not None]
    band = ([low for low, _ in ends], [high for _, high in ends]) if len(ends) == len(x) else None
    rows = [words.numbers(row) for row in listing(arm.get("seeds"))]
    dots = np.array([row for row in rows if len(row) == len(x)]).reshape(-1, len(x))
    return Line(name, x, words.numbers(arm.get("mean")), arm_color(i), arm_dash(i), band=band, dots=dots)


def _room(lines: Sequence[Line], told: Measure) -> tuple[float, float]:
    """Room for every seed, and no more than as much again for the intervals."""
    seen = np.concatenate([np.ravel([*one.y, *np.ravel(one.dots)]) for one in lines])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    room = 0.25 * ((high - low) or 0.04)
    return max(0.0, low - room), min(high + room, 1.005) if told.percent else high + room
