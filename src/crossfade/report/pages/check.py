"""The page of an overfit check: did it pass, what may be wrong, how it learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossfade.report import words
from crossfade.report.figures import arm_dash
from crossfade.report.frame import frame
from crossfade.report.lines import MOST, Line, Mark, lines_figure, of_epochs, of_steps
from crossfade.report.record import Experiment
from crossfade.report.render import Page, Section, render
from crossfade.report.sections.plot import Plot
from crossfade.report.style import PALETTE

STORY = (
    Section("causes", "What may be wrong, the likeliest first", "in_doubt"),
    Section("learned", "The training"),
    Section("probes", "What other learning rates do", "probe_plots"),
)


def check_page(check: Experiment) -> Page:
    """The page of an overfit check that has ended."""
    found = check.result
    passed, bound = bool(found.get("passed")), words.number(found.get("bound"))
    causes = [words.mapping(cause) for cause in words.listing(found.get("causes"))]
    values = {
        **frame(check, "check"),
        "passed": passed,
        "sentence": str(found.get("sentence") or "").partition(": ")[2],
        "causes": causes,
        "in_doubt": bool(causes) or not passed,
        "facts": _facts(found, bound),
        "check_plots": [*_losses(found), *_accuracies(found, bound)],
        "probe_plots": _probes(found),
    }
    return render("check.html.j2", STORY, values)


def _facts(found: Mapping[str, Any], bound: float | None) -> list[tuple[str, str]]:
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
        ("Learning rate", words.rate(found.get("lr"))),
    ]
    if right is not None and judged:
        facts.append(("Of pictures it did not learn from", f"{words.percent(right / judged)} right"))
    return facts


def _losses(found: Mapping[str, Any]) -> list[Plot]:
    losses = words.numbers(found.get("losses"))
    if not np.isfinite(losses).any():
        return []
    low, high = np.nanmin(losses), np.nanmax(losses)
    fell = bool(0 < 3 * low < high)
    figure = lines_figure(
        [Line("training loss", *of_epochs(losses), PALETTE[1])], title="Does the loss keep falling?", xlabel="epoch",
        log_y=fell, ylim=(None, None) if fell else (0, 1.1 * high),
    )  # fmt: skip
    return [Plot("loss", f"Training loss by epoch, from {losses[0]:.3g} to {losses[-1]:.3g}", figure)]


def _accuracies(found: Mapping[str, Any], bound: float | None) -> list[Plot]:
    after, running = words.numbers(found.get("accuracies")), words.numbers(found.get("running_accuracies"))
    if not after:
        return []
    lines = [
        Line("after the epoch", *of_epochs(after), PALETTE[1]),
        Line("while it learned", *of_epochs(running), PALETTE[0], dash=arm_dash(1)),
    ]
    marks = [] if bound is None else [Mark(f"bound {100 * bound:g}%", y=bound)]
    figure = lines_figure(
        lines, title="Are the training pictures learned?", xlabel="epoch", percent=True, marks=marks, ylim=(0, 1.03)
    )
    return [Plot("accuracy", f"Training accuracy by epoch, {words.percent(after[-1])} in the end", figure)]


def _probes(found: Mapping[str, Any]) -> list[Plot]:
    asked, lines = words.number(found.get("lr")), []
    for i, one in enumerate(map(words.mapping, words.listing(found.get("probes"))[:MOST])):
        losses = [loss for loss in words.numbers(one.get("losses")) if np.isfinite(loss)]
        name = words.rate(one.get("lr")) + (" (asked)" if words.number(one.get("lr")) == asked else "")
        lines.append(Line(name, *of_steps(losses), PALETTE[i % len(PALETTE)]))
    return _probes_plot([one for one in lines if len(one.y)])


def _probes_plot(lines: Sequence[Line]) -> list[Plot]:
    if not lines:
        return []
    figure = lines_figure(lines, title="Other learning rates", xlabel="step", ylim=(0, 1.25 * lines[0].y[0]))
    ends = "; ".join(f"{one.name} from {one.y[0]:.3g} to {one.y[-1]:.3g}" for one in lines)
    return [Plot("probes", f"Training loss of short trainings at other rates, step by step: {ends}", figure)]
