"""The page: one self-contained HTML file about a training or a comparison, without any script."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from crossfade.errors import ConfigError
from crossfade.report import record, sections, words

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a training or of a comparison.

    Args:
        folder: what `crossfade train` or `crossfade compare` left. Missing pieces are named on the page.

    Returns:
        The path of the page.

    Raises:
        DataError: the folder is neither.
        ConfigError: nothing can be written there.
    """
    folder = Path(folder)
    found = record.read(folder)
    html = comparison_page(found) if isinstance(found, record.Comparison) else training_page(found)
    path = folder / PAGE
    unfinished = folder / f".{PAGE}.{os.getpid()}"
    try:
        unfinished.write_text(html, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(
            f"report: the page is written into the run folder. Got {folder}, {error.strerror}. "
            "Copy the folder to a place that can be written to."
        ) from error
    return path


def comparison_page(comparison: record.Comparison) -> str:
    """The page of a comparison."""
    arms = sections.scores(comparison)
    classes = comparison.classes or next(
        (r.classes for runs in comparison.runs.values() for r in runs if r.classes), []
    )
    data = sections.data(comparison.data, comparison.part_counts, classes)
    runs = [run for mine in comparison.runs.values() for run in mine]
    config = comparison.config or next((run.config for run in runs if run.config), "")
    facts = sections.facts(config, runs, data, comparison.data)
    facts += [
        ("Arms", ", ".join(words.line(arm) for arm in arms)),
        ("Seeds", ", ".join(sections.seeds_of(comparison))),
    ]
    return _render(
        "comparison.html.j2",
        name=_name(comparison.data, comparison.folder),
        verdict=str(comparison.summary.get("verdict") or ""),
        is_finished=bool(comparison.summary.get("arms")),
        baseline=words.baseline_of({**comparison.summary, "arms": arms}),
        judged=judged(comparison),
        n_seeds=max((len(sections.numbers(arm.get("seeds"))) for arm in arms.values()), default=0),
        rows=sections.rows(arms, comparison),
        score_figures=sections.score_figures(arms, comparison),
        weights=sections.fairness(arms, comparison),
        commands=[str(c) for c in words.listing(comparison.summary.get("commands"))],
        **_shared(comparison.runs, classes, data, facts, config, comparison.environment, comparison.notes),
    )


def training_page(run: record.Run) -> str:
    """The page of one training."""
    data = sections.data({}, run.part_counts, run.classes)
    arm = record.setting(record.settings(run.config), "arm") or record.setting(
        record.settings(run.config), "mix"
    )
    runs = {arm if isinstance(arm, str) and arm else "this training": [run]}
    facts = sections.facts(run.config, [run], data, {})
    facts += [("Time", words.duration(run.summary["seconds"]))] if run.summary.get("seconds") else []
    results = [
        (title, words.percent(part.get("accuracy")), words.number(part.get("loss")))
        for key, title in (
            ("test", "Test part"),
            ("val", "Validation part, best epoch"),
            ("last", "Last epoch"),
        )
        if isinstance(part := run.summary.get(key), dict)
    ]
    return _render(
        "training.html.j2",
        name=run.folder.resolve().name,
        headline=headline(run),
        results=results,
        commands=[str(c) for c in words.listing(run.summary.get("commands"))],
        **_shared(runs, run.classes, data, facts, run.config, run.environment, run.notes, first=1),
    )


def headline(run: record.Run) -> str:
    """What came out of a training, in one sentence."""
    best = run.summary.get("best_epoch")
    for part, said in (("test", "test"), ("val", "validation")):
        found = run.summary.get(part)
        if isinstance(found, dict) and words.number(found.get("accuracy")) is not None:
            epoch = f", with the weights of epoch {best} of {len(run.epochs)}" if best and run.epochs else ""
            return f"{words.percent(found['accuracy'])} of the {said} pictures are named rightly{epoch}."
    if run.epochs:
        done = words.plural(len(run.epochs), "epoch")
        return f"This training has not finished: {done} so far, no summary.json."
    return "This training has not finished its first epoch."


def judged(comparison: record.Comparison) -> str:
    """On which pictures the arms were judged, and with which weights."""
    part = {"test": "the test part", "val": "the validation part"}.get(str(comparison.summary.get("part")))
    epoch = {"last": "the weights of the last epoch", "best": "the weights of the best validation epoch"}
    said = [part or "", epoch.get(str(comparison.summary.get("epoch")), "")]
    return ", with ".join(filter(None, said))


def _shared(
    runs: sections.Runs,
    classes: list[str],
    data: sections.Data,
    facts: list[tuple[str, str]],
    config: str,
    environment: dict[str, Any],
    notes: tuple[str, ...],
    first: int = 0,
) -> dict[str, Any]:
    """What both pages show; `first` is the colour of the first arm, 0 being that of a baseline."""
    histograms, plain = sections.lambda_figures(runs, first)
    return {
        "arms": [(name, i % len(sections.figures.PALETTE)) for i, name in enumerate(runs)],
        "facts": facts,
        "curves": sections.curve_figures(runs, first),
        "batches": sections.batches(runs, classes, first),
        "lambdas": histograms,
        "plain_arms": plain,
        "confusions": sections.confusions(runs, classes, first),
        "matrix_max": sections.MATRIX_MAX,
        "data": data,
        "config": config,
        "environment": environment,
        "notes": list(dict.fromkeys(notes)),
    }


def _name(scan: dict[str, Any], folder: Path) -> str:
    root = str(scan.get("root") or "").rstrip("/\\")
    return root.replace("\\", "/").rpartition("/")[2] or folder.resolve().name


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value if isinstance(value, Markup) or not isinstance(value, str) else words.clean(value)
        ),
    )
    environment.filters.update(line=words.line, count=words.count, plural=words.plural, percent=words.percent)
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)
