"""The page of `crossfade lr`: rates side by side, a range test, or a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crossfade.report import words
from crossfade.report.figures import arm_color, arm_dash
from crossfade.report.frame import frame
from crossfade.report.lines import MOST, Line, Mark, lines_figure, of_epochs, of_steps
from crossfade.report.measure import measure
from crossfade.report.record import Experiment
from crossfade.report.render import Page, Section, render
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE, RULE

TITLES = {"values": "Side by side", "range": "The range test", "schedule": "The schedule"}

Values = dict[str, Any]


def lr_page(lr: Experiment) -> Page:
    """The page of what `crossfade lr` did, which its result says."""
    found, kind = lr.result, str(lr.result.get("kind") or "")
    draw: Callable[[Mapping[str, Any]], Values] = {"values": _sweep, "range": _range}.get(kind, _schedule)
    sentence = str(found.get("sentence") or "Nothing was recorded.")
    values = {
        **frame(lr, "lr"),
        "kind": kind,
        "headline": words.sentence(sentence),
        "facts": _facts(found),
        "rates": [],
        **draw(found),
    }
    return render("lr.html.j2", (Section("rates", TITLES.get(kind, TITLES["schedule"])),), values)


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [
        ("Suggestion", words.rate(found.get("suggestion"))),
        ("Schedule", str(found.get("schedule") or words.NONE)),
        ("Epochs", words.count(found.get("epochs"))),
        ("Steps", words.count(found.get("steps"))),
        ("Optimizer", str(found.get("optimizer") or words.NONE)),
    ]
    return [(word, value) for word, value in pairs if value != words.NONE]


def _sweep(found: Mapping[str, Any]) -> Values:
    values = {str(name): words.mapping(one) for name, one in words.mapping(found.get("values")).items()}
    told, best = measure(found.get("metric")), words.number(found.get("suggestion"))
    by_step, by_epoch, rows = [], [], []
    for i, (name, one) in enumerate(values.items()):
        losses, epochs = words.numbers(one.get("losses")), words.numbers(one.get("epochs"))
        look: dict[str, Any] = {"color": arm_color(i + 1), "dash": arm_dash(i)}
        by_step.append(Line(name, *of_steps(losses), **look))
        by_epoch.append(Line(name, *of_epochs(epochs), marker="o", **look))
        rows.append(
            {
                "rate": name,
                "losses": words.losses(one.get("epochs")),
                "val": told.say(one.get("val")),
                "stopped": bool(one.get("stopped")),
                "best": best is not None and name == f"{best:g}",
            }
        )
    first = max((one.y[0] for one in by_step if len(one.y)), default=1.0)
    plots = []
    for unit, lines in (("step", by_step), ("epoch", by_epoch)):
        if any(len(one.y) for one in lines):
            title = f"Training loss, {unit} by {unit}"
            figure = lines_figure(lines[:MOST], title=title, xlabel=unit, ylim=(0, 1.25 * first))
            plots.append(Plot(f"loss-by-{unit}", f"{title}, at {', '.join(values)}", figure))
    return {"lr_plots": plots, "rates": rows, "metric": told.title}


def _range(found: Mapping[str, Any]) -> Values:
    seen = words.mapping(found.get("range"))
    rates, losses, smoothed = (words.numbers(seen.get(name)) for name in ("rates", "losses", "smoothed"))
    if not rates or not len(rates) == len(losses) == len(smoothed) or not np.isfinite(smoothed).all():
        return {"lr_plots": []}
    suggestion = words.number(found.get("suggestion"))
    marks = [Mark(f"try {words.rate(suggestion)}", x=suggestion)] if suggestion else []
    low, start = min(smoothed), smoothed[0]
    top = start + max(0.6 * (start - low), 0.15 * start)
    lines = [Line("", rates, losses, RULE, dash="", marker="."), Line("", rates, smoothed, PALETTE[1])]
    figure = lines_figure(
        lines, title="The loss while the rate rises", xlabel="learning rate", log_x=True, marks=marks,
        ylim=(low - 0.12 * (top - low), top), wide=True,
    )  # fmt: skip
    label = (
        f"Loss over the learning rate, from {start:.3g} at {rates[0]:.2g} "
        f"to {smoothed[-1]:.3g} at {rates[-1]:.2g}; the lowest is {low:.3g}"
    )
    return {"lr_plots": [Plot("range", label, figure)]}


def _schedule(found: Mapping[str, Any]) -> Values:
    rates, per_epoch = words.numbers(found.get("rates")), words.number(found.get("steps_per_epoch")) or 1
    if not rates:
        return {"lr_plots": []}
    epochs = [step / per_epoch for step in range(len(rates))]
    every = -(-len(rates) // 2000)
    figure = lines_figure(
        [Line("", epochs[::every], rates[::every], PALETTE[1])], title="The learning rate", xlabel="epoch",
        ylim=(0, None), wide=True,
    )  # fmt: skip
    label = (
        f"The learning rate over {len(rates) / per_epoch:g} epochs, from {rates[0]:.2g} to {rates[-1]:.2g}; "
        f"the highest is {max(rates):.2g}"
    )
    return {"lr_plots": [Plot("schedule", label, figure)]}
