"""The page: one self-contained HTML file about a training or a comparison, without any script."""

from __future__ import annotations

import errno
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from crossfade.errors import ConfigError, DataError
from crossfade.report import inline, record, sections, words
from crossfade.report.style import PALETTE, save

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"
FIGURES = "figures"


@dataclass(frozen=True)
class Page:
    """The page, and its figures once more for files of their own."""

    html: str
    plots: list[sections.Plot]


def write_report(folder: Path) -> Path:
    """Write `report.html`, and its figures as SVG files, into the folder of a training or of a comparison.

    Args:
        folder: what `crossfade train` or `crossfade compare` left. Missing pieces are named on the page.

    Returns:
        The path of the page.

    Raises:
        DataError: the folder is neither, or the disk is full.
        ConfigError: nothing can be written there.
    """
    folder = Path(folder)
    found = record.read(folder)
    page = comparison_page(found) if isinstance(found, record.Comparison) else training_page(found)
    unfinished = folder / f".{PAGE}.{os.getpid()}"
    try:
        unfinished.write_text(page.html, encoding="utf-8")
        unfinished.replace(folder / PAGE)
        (folder / FIGURES).mkdir(exist_ok=True)
        for plot in page.plots:
            save(plot.alone, folder / FIGURES / f"{plot.name}.svg")
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (DataError if full else ConfigError)(
            f"report: the page is written into the run folder. Got {folder}, {error.strerror}. "
            "Copy the folder to a place that can be written to."
        ) from error
    return folder / PAGE


def comparison_page(comparison: record.Comparison) -> Page:
    """The page of a comparison."""
    arms = sections.scores(comparison)
    runs = [run for mine in comparison.runs.values() for run in mine]
    classes = comparison.classes or next((run.classes for run in runs if run.classes), [])
    data = sections.data(comparison.data, comparison.part_counts, classes)
    config = comparison.config or next((run.config for run in runs if run.config), "")
    facts = sections.facts(config, runs, data, comparison.data)
    facts.append(("Arms", ", ".join(words.line(arm) for arm in arms)))
    facts.append(("Seeds", ", ".join(sections.seeds_of(comparison))))
    values = {
        "name": _name(comparison.data, comparison.folder),
        "verdict": str(comparison.summary.get("verdict") or ""),
        "is_finished": bool(comparison.summary.get("arms")),
        "baseline": words.baseline_of({**comparison.summary, "arms": arms}),
        "judged": judged(comparison),
        "n_seeds": max((len(sections.numbers(arm.get("seeds"))) for arm in arms.values()), default=0),
        "rows": sections.rows(arms, comparison),
        "score_plots": sections.score_figures(arms, comparison),
        "weights": sections.fairness(arms, comparison),
        "commands": words.listing(comparison.summary.get("commands")),
        "facts": facts,
        "data": data,
        "config": config,
        "environment": comparison.environment,
        "notes": comparison.notes,
        **_training_sections(comparison.runs, classes),
    }
    return _render("comparison.html.j2", values)


def training_page(run: record.Run) -> Page:
    """The page of one training."""
    data = sections.data(run.data, run.part_counts, run.classes)
    mix = record.setting(record.settings(run.config), "mix")
    facts = sections.facts(run.config, [run], data, run.data)
    facts += [("Time", words.duration(run.summary["seconds"]))] if run.summary.get("seconds") else []
    parts = {"test": "Test part", "val": "Validation part, best epoch", "last": "Validation part, last epoch"}
    found = [(title, words.mapping(run.summary.get(key))) for key, title in parts.items()]
    values = {
        "name": _run_name(run.folder.resolve()),
        "headline": headline(run),
        "results": [(t, words.percent(p.get("accuracy")), words.number(p.get("loss"))) for t, p in found if p],
        "commands": words.listing(run.summary.get("commands")),
        "facts": facts,
        "data": data,
        "config": run.config,
        "environment": run.environment,
        "notes": run.notes,
        **_training_sections({str(mix or "this training"): [run]}, run.classes, first=1),
    }
    return _render("training.html.j2", values)


def headline(run: record.Run) -> str:
    """What came out of a training, in one sentence."""
    by_part = ({"part": part, **words.mapping(run.summary[part])} for part in ("test", "val") if part in run.summary)
    found = words.mapping(run.summary.get("judged")) or next(by_part, {})
    if words.number(found.get("accuracy")) is not None:
        part = {"test": "test ", "val": "validation "}.get(str(found.get("part")), "")
        best = run.summary.get("best_epoch")
        epoch = {
            "best": f" by the weights of epoch {best}, the best of {len(run.epochs)}",
            "last": f" by the weights of the last of {words.plural(len(run.epochs), 'epoch')}",
        }.get(str(found.get("epoch")), "")
        return f"{words.percent(found['accuracy'])} of the {part}pictures are named rightly{epoch}."
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


def _training_sections(runs: sections.Runs, classes: list[str], first: int = 0) -> dict[str, Any]:
    """The sections that both pages have; `first` is the colour of the first arm, 0 being a baseline's."""
    histograms, plain = sections.lambda_figures(runs, first)
    return {
        "arms": [(name, i % len(PALETTE)) for i, name in enumerate(runs)],
        "curve_plots": sections.curve_figures(runs, first),
        "batches": sections.batches(runs, classes, first),
        "lambda_plots": histograms,
        "plain_arms": plain,
        "confusions": sections.confusions(runs, classes, first),
        "matrix_max": sections.MATRIX_MAX,
    }


def _run_name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


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
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else words.clean(value),
    )
    environment.filters.update(
        svg=lambda plot: inline.svg(plot.figure, plot.name, plot.label), sentences=words.sentences
    )
    environment.filters.update(line=words.line, count=words.count, plural=words.plural, percent=words.percent)
    return environment


def _render(template: str, values: dict[str, Any]) -> Page:
    html = _environment().get_template(template).render(values)
    return Page(html, [plot for name, plots in values.items() if name.endswith("_plots") for plot in plots])
