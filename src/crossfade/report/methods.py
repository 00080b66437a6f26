"""The pages of check, lr and ablate: what their templates show, from the JSON that they leave."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.report import words
from crossfade.report.figures import arm_color, arm_dash
from crossfade.report.lines import Line, Mark, lines_figure
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE, RULE
from crossfade.training.metrics import METRICS

SHADES = 8  # lines of one figure; more are left to the table

Values = dict[str, Any]


def read(folder: Path) -> tuple[str, Values] | None:
    """The template for the folder of a step of the method, and what it shows; None of any other folder."""
    for name, values_of in _KINDS.items():
        if (folder / f"{name}.json").is_file():
            return f"{name}.html.j2", {**_common(folder), **values_of(_json(folder / f"{name}.json"))}
    return None


def _common(folder: Path) -> Values:
    command = _json(folder / "command.json")
    root = str(_json(folder / "data.json").get("root") or command.get("data") or "").rstrip("/\\")
    argv = [str(word) for word in words.listing(command.get("argv"))]
    return {
        "name": root.replace("\\", "/").rpartition("/")[2] or folder.resolve().name,
        "config": _text(folder / "config.toml"),
        "environment": _json(folder / "environment.json"),
        "commands": [shlex.join(argv)] if argv else [],
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    """The table in a JSON file, empty where there is none."""
    try:
        return words.mapping(json.loads(_text(path)))
    except ValueError:
        return {}


def _numbers(values: Any) -> list[float]:
    """A JSON list as numbers, NaN where it has none."""
    found = [words.number(value) for value in words.listing(values)]
    return [np.nan if value is None else value for value in found]


def _thin(values: list[float], most: int = 400) -> tuple[list[float], list[float]]:
    """Steps from 1 on, and values, of a line that is not to have more points than a screen."""
    every = -(-len(values) // most) or 1
    steps = list(range(1, len(values) + 1))
    return [float(step) for step in steps[::every]], values[::every]


# ------------------------------------------------------------------------------------------------ check


def _check(found: Mapping[str, Any]) -> Values:
    losses, accuracies = _numbers(found.get("losses")), _numbers(found.get("accuracies"))
    running = _numbers(found.get("running_accuracies"))
    bound = words.number(found.get("bound"))
    plots = []
    if losses:
        epochs = [float(epoch) for epoch in range(1, len(losses) + 1)]
        low, high = float(np.nanmin(losses)), float(np.nanmax(losses))
        figure = lines_figure(
            [Line("training loss", epochs, losses, PALETTE[1])], title="Does the loss keep falling?", xlabel="epoch",
            log_y=0 < 3 * low < high, ylim=(None, None) if 3 * low < high else (0, 1.1 * high),
        )  # fmt: skip
        plots.append(_plot("loss", f"Training loss by epoch, from {losses[0]:.3g} to {losses[-1]:.3g}", figure))
        lines = [
            Line("after the epoch", epochs, accuracies, PALETTE[1]),
            Line("while it learned", epochs, running, PALETTE[0], dash=arm_dash(1)),
        ]
        marks = [] if bound is None else [Mark(f"bound {100 * bound:g}%", y=bound)]
        figure = lines_figure(
            lines, title="Are the training pictures learned?", xlabel="epoch", percent=True, marks=marks,
            ylim=(0, 1.03),
        )  # fmt: skip
        last = words.percent(accuracies[-1]) if accuracies else words.NONE
        plots.append(_plot("accuracy", f"Training accuracy by epoch, {last} in the end", figure))
    probes = [words.mapping(one) for one in words.listing(found.get("probes"))]
    return {
        "passed": bool(found.get("passed")),
        "sentence": str(found.get("sentence") or "").partition(": ")[2],
        "causes": [words.mapping(cause) for cause in words.listing(found.get("causes"))],
        "facts": _check_facts(found, bound),
        "check_plots": plots,
        "probe_plots": _probes(probes, words.number(found.get("lr"))),
    }


def _check_facts(found: Mapping[str, Any], bound: float | None) -> list[tuple[str, str]]:
    pictures = words.mapping(found.get("pictures"))
    total = sum(n for n in map(words.number, pictures.values()) if n)
    held_out = words.mapping(found.get("held_out"))
    right, judged = words.number(held_out.get("right")), words.number(held_out.get("pictures"))
    facts = [
        ("Training accuracy", words.percent(found.get("train_accuracy"))),
        ("Bound", f"above {words.percent(bound)}"),
        ("Pictures", f"{words.count(total)} of {words.plural(len(pictures), 'class', 'classes')}"),
        ("Epochs", words.count(found.get("epochs"))),
        ("Steps", words.count(found.get("steps"))),
        ("Learning rate", f"{words.number(found.get('lr')) or 0:g}"),
    ]
    if right is not None and judged:
        facts.append(("Of pictures it did not learn from", f"{words.percent(right / judged)} right"))
    return facts


def _probes(probes: list[dict[str, Any]], lr: float | None) -> list[Plot]:
    lines = []
    for i, one in enumerate(probes[:SHADES]):
        losses = [loss for loss in _numbers(one.get("losses")) if np.isfinite(loss)]
        steps, values = _thin(losses)
        rate = words.number(one.get("lr")) or 0.0
        name = f"{rate:g}" + (" (asked)" if rate == lr else "")
        lines.append(Line(name, steps, values, PALETTE[i % len(PALETTE)]))
    if not any(len(one.y) for one in lines):
        return []
    start = next(one.y[0] for one in lines if len(one.y))
    figure = lines_figure(lines, title="Other learning rates", xlabel="step", ylim=(0, 1.25 * start))
    return [_plot("probes", "Training loss by step of short trainings at other rates", figure)]


# ------------------------------------------------------------------------------------------------ lr


def _lr(found: Mapping[str, Any]) -> Values:
    kind = str(found.get("kind") or "")
    draw: Callable[[Mapping[str, Any]], Values] = {"values": _sweep, "range": _range}.get(kind, _schedule)
    optimizer = [("Optimizer", str(found["optimizer"]))] if found.get("optimizer") else []
    suggestion = words.number(found.get("suggestion"))
    suggested = [("Suggestion", f"{suggestion:g}")] if suggestion else []
    shared = {"kind": kind, "sentence": str(found.get("sentence") or ""), "rows": [], "metric": ""}
    return {**shared, "facts": [*suggested, *optimizer], **draw(found)}


def _sweep(found: Mapping[str, Any]) -> Values:
    values = {str(name): words.mapping(one) for name, one in words.mapping(found.get("values")).items()}
    by_step, by_epoch, rows = [], [], []
    best = words.number(found.get("suggestion"))
    for i, (name, one) in enumerate(values.items()):
        losses, epochs = _numbers(one.get("losses")), _numbers(one.get("epochs"))
        look: dict[str, Any] = {"color": arm_color(i + 1), "dash": arm_dash(i)}
        by_step.append(Line(name, *_thin(losses), **look))
        by_epoch.append(Line(name, [float(n) for n in range(1, len(epochs) + 1)], epochs, marker="o", **look))
        shown = [f"{loss:.4f}" for loss in epochs]
        rows.append(
            (name, shown, _score(one.get("val")), bool(one.get("stopped")), best is not None and name == f"{best:g}")
        )
    first = max((one.y[0] for one in by_step if len(one.y)), default=1.0)
    plots = []
    for key, lines, label in (("step", by_step, "step"), ("epoch", by_epoch, "epoch")):
        if any(len(one.y) for one in lines):
            title = f"Training loss, {label} by {label}"
            figure = lines_figure(lines[:SHADES], title=title, xlabel=label, ylim=(0, 1.25 * first))
            plots.append(_plot(f"loss-by-{key}", f"{title}, at {', '.join(values)}", figure))
    return {"lr_plots": plots, "rows": rows, "metric": str(found.get("metric") or "")}


def _score(value: Any) -> str:
    found = words.number(value)
    return words.NONE if found is None else f"{found:.4f}"


def _range(found: Mapping[str, Any]) -> Values:
    seen = words.mapping(found.get("range"))
    rates, losses, smoothed = (_numbers(seen.get(name)) for name in ("rates", "losses", "smoothed"))
    if not rates:
        return {"lr_plots": []}
    suggestion = words.number(found.get("suggestion"))
    marks = [] if not suggestion else [Mark(f"try {suggestion:g}", x=suggestion)]
    low, start = np.nanmin(smoothed), smoothed[0]
    top = start + max(0.6 * (start - low), 0.15 * start)
    lines = [Line("", rates, losses, RULE, dash="", marker="."), Line("", rates, smoothed, PALETTE[1])]
    figure = lines_figure(
        lines, title="The loss while the rate rises", xlabel="learning rate", log_x=True, marks=marks,
        ylim=(low - 0.12 * (top - low), top), wide=True,
    )  # fmt: skip
    label = f"Loss over the learning rate, from {rates[0]:.2g} to {rates[-1]:.2g}"
    facts = [("Steps", words.count(found.get("steps")))]
    facts += [("Optimizer", str(found["optimizer"]))] if found.get("optimizer") else []
    facts = [("Suggestion", f"{suggestion:g}"), *facts] if suggestion else facts
    return {"lr_plots": [_plot("range", label, figure)], "facts": facts}


def _schedule(found: Mapping[str, Any]) -> Values:
    rates, per_epoch = _numbers(found.get("rates")), words.number(found.get("steps_per_epoch")) or 1
    if not rates:
        return {"lr_plots": []}
    epochs = [step / per_epoch for step in range(len(rates))]
    every = -(-len(rates) // 2000)
    figure = lines_figure(
        [Line("", epochs[::every], rates[::every], PALETTE[1])], title="The learning rate", xlabel="epoch",
        ylim=(0, None), wide=True,
    )  # fmt: skip
    facts = [("Schedule", str(found.get("schedule"))), ("Epochs", words.count(found.get("epochs")))]
    return {
        "lr_plots": [_plot("schedule", f"The learning rate over {len(rates) / per_epoch:g} epochs", figure)],
        "facts": facts,
    }


# ------------------------------------------------------------------------------------------------ ablate


def _ablate(found: Mapping[str, Any]) -> Values:
    arms = {str(name): words.mapping(arm) for name, arm in words.mapping(found.get("arms")).items()}
    sizes = [str(size) for size in words.listing(found.get("per_class"))]
    x = _numbers(found.get("mean_per_class"))
    metric = str(found.get("metric") or "accuracy")
    percent = metric not in METRICS or METRICS[metric].percent
    lines = [_arm_line(name, i, arm, x) for i, (name, arm) in enumerate(arms.items())]
    plots = []
    if x and lines:
        ticks = [(place, f"{round(place):,}") for place in x]
        figure = lines_figure(
            lines, title=f"{_title(metric)} by training pictures", xlabel="training pictures a class", percent=percent,
            log_x=True, xticks=ticks, ylim=_room(lines, percent),
        )  # fmt: skip
        plots.append(_plot("ablate", f"{_title(metric)} of {', '.join(arms)} by training pictures a class", figure))
    shown = words.percent if percent else _score
    rows = [
        (
            size,
            words.count(words.listing(found.get("pictures"))[i]),
            words.count(words.listing(found.get("steps"))[i]),
            [
                (shown(words.listing(arm.get("mean"))[i]), _interval(words.listing(arm.get("ci95"))[i], percent))
                for arm in arms.values()
            ],
        )
        for i, size in enumerate(sizes)
    ]
    return {
        "metric": _title(metric),
        "part": {"val": "validation", "test": "test"}.get(str(found.get("part")), ""),
        "epochs": words.count(found.get("epochs")),
        "seeds": len(words.listing(found.get("seeds"))),
        "arms": [(name, i % len(PALETTE)) for i, name in enumerate(arms)],
        "rows": rows,
        "headline": str(found.get("headline") or "This ablation has not finished its first size."),
        "sentences_found": [str(one) for one in words.listing(found.get("sentences"))],
        "said": [str(one) for one in words.listing(found.get("notes"))],
        "ablate_plots": plots,
    }


def _arm_line(name: str, i: int, arm: Mapping[str, Any], x: list[float]) -> Line:
    ends = [words.pair(one) for one in words.listing(arm.get("ci95"))]
    band = None
    if ends and all(one is not None for one in ends):
        band = ([one[0] for one in ends if one], [one[1] for one in ends if one])
    dots = np.array([_numbers(row) for row in words.listing(arm.get("seeds"))], float)
    look: dict[str, Any] = {"color": arm_color(i), "dash": arm_dash(i), "band": band}
    return Line(name, x, _numbers(arm.get("mean")), dots=dots if dots.ndim == 2 else None, **look)


def _room(lines: list[Line], percent: bool) -> tuple[float | None, float | None]:
    """Room for every seed, and no more than as much again for the intervals."""
    seen = np.concatenate([np.ravel(one.dots) if one.dots is not None else np.asarray(one.y) for one in lines])
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    room = 0.25 * ((high - low) or 0.04)
    return low - room, min(high + room, 1.005) if percent else high + room


def _interval(ends: Any, percent: bool) -> str:
    if percent:
        return words.percent_interval(ends)
    found = words.pair(ends)
    return words.NONE if found is None else f"{found[0]:.3f} to {found[1]:.3f}"


def _title(metric: str) -> str:
    title = METRICS[metric].title if metric in METRICS else metric
    return title[:1].upper() + title[1:]


def _plot(name: str, label: str, figure: Any) -> Plot:
    return Plot(name, label, figure, figure)


_KINDS: dict[str, Callable[[Mapping[str, Any]], Values]] = {"check": _check, "lr": _lr, "ablate": _ablate}
