"""The page of a training or a comparison: which sections it has, in the order that tells the story."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crossfade.report import methods, record, words
from crossfade.report.measure import measure
from crossfade.report.render import PAGE, Page, render, write
from crossfade.report.sections import (
    calibration,
    classes,
    commands,
    confusion,
    curves,
    facts,
    fairness,
    hardest,
    metrics,
    mixing,
    results,
    robustness,
)
from crossfade.report.sections import data as pictures
from crossfade.report.sections.plot import Runs
from crossfade.report.style import PALETTE
from crossfade.report.tuning import is_search, tuning_page

__all__ = ["PAGE", "Page", "comparison_page", "training_page", "write_report"]


class Section(NamedTuple):
    """A part of the page: the template ``sections/<anchor>.html.j2`` under its title."""

    anchor: str
    title: str
    needs: str = ""  # the value without which it is left out


STORY = (
    Section("results", "Results"),
    Section("besides", "What else mixing changed", "besides"),
    Section("classes", "Class by class", "per_class"),
    Section("confusion", "What is taken for what"),
    Section("hardest", "The hardest pictures", "hardest"),
    Section("calibration", "How sure it is, and how often right", "calibrations"),
    Section("robustness", "When pictures are spoiled", "robustness"),
    Section("curves", "How it learned"),
    Section("seen", "What the model saw"),
    Section("lambda", "How strongly samples were mixed"),
    Section("data", "The pictures"),
    Section("fairness", "How it was kept fair", "is_comparison"),
    Section("settings", "Configuration and versions"),
    Section("commands", "To repeat it"),
)


def write_report(folder: Path) -> Path:
    """Write `report.html`, and its figures as SVG files, into the folder of a training or an experiment.

    Args:
        folder: what a command that trains left. Missing pieces are named on the page.

    Returns:
        The path of the page.

    Raises:
        DataError: the folder is neither.
        ConfigError: nothing can be written there.
    """
    folder = Path(folder)
    return write(_page(folder), folder)


def _page(folder: Path) -> Page:
    if is_search(folder):
        return tuning_page(folder)
    if (step := methods.read(folder)) is not None:
        return render(*step)
    found = record.read(folder)
    return comparison_page(found) if isinstance(found, record.Comparison) else training_page(found)


def comparison_page(comparison: record.Comparison) -> Page:
    """The page of a comparison."""
    arms, runs = results.scores(comparison), [run for mine in comparison.runs.values() for run in mine]
    names = comparison.classes or next((run.classes for run in runs if run.classes), [])
    data = pictures.data(comparison.data, comparison.part_counts, names)
    config = comparison.config or next((run.config for run in runs if run.config), "")
    done = facts.facts(config, runs, data, comparison.data)
    done.append(("Arms", ", ".join(words.line(arm) for arm in arms)))
    done.append(("Seeds", ", ".join(results.seeds_of(comparison))))
    told = results.measure_of(comparison)
    is_finished = bool(comparison.summary.get("arms"))
    values = {
        "is_comparison": True,
        "name": _name(comparison.data, comparison.folder),
        "verdict": str(comparison.summary.get("verdict") or ""),
        "is_finished": is_finished,
        "baseline": words.baseline_of({**comparison.summary, "arms": arms}),
        "measure": told,
        "judged": judged(comparison),
        "n_seeds": max((len(results.numbers(arm.get("seeds"))) for arm in arms.values()), default=0),
        "rows": results.rows(arms, comparison),
        "score_plots": results.score_figures(arms, comparison),
        "more_seeds": results.more_seeds(arms, comparison),
        "besides": metrics.besides(comparison),
        "sentences": [str(said) for said in words.listing(comparison.evaluation.get("sentences"))],
        "weights": fairness.fairness(arms, comparison),
        "facts": done,
        "data": data,
        "config": config,
        "environment": comparison.environment,
        "notes": comparison.notes,
        "repeats": commands.repeats(comparison.command, comparison.summary),
        **_commands(comparison.folder, "compare", is_finished, runs),
        **_shared(comparison.runs, names, told.name),
    }
    return _render("comparison.html.j2", values)


def training_page(run: record.Run) -> Page:
    """The page of one training."""
    data = pictures.data(run.data, run.part_counts, run.classes)
    mix = record.setting(record.settings(run.config), "mix")
    done = facts.facts(run.config, [run], data, run.data)
    done += [("Time", words.duration(run.summary["seconds"]))] if run.summary.get("seconds") else []
    heads, rows = metrics.results_of(run)
    values = {
        "is_comparison": False,
        "name": _run_name(run.folder.resolve()),
        "headline": headline(run),
        "heads": heads,
        "results": rows,
        "facts": done,
        "data": data,
        "config": run.config,
        "environment": run.environment,
        "notes": run.notes,
        "repeats": commands.repeats(run.command, run.summary),
        **_commands(run.folder, "train", bool(run.summary), [run]),
        **_shared({str(mix or "this training"): [run]}, run.classes, results.metric_of(run), first=1),
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
        also = _also(run, found)
        return f"{words.percent(found['accuracy'])} of the {part}pictures are named rightly{epoch}{also}."
    if run.epochs:
        done = words.plural(len(run.epochs), "epoch")
        return f"This training has not finished: {done} so far, no summary.json."
    return "This training has not finished its first epoch."


def _also(run: record.Run, found: Mapping[str, Any]) -> str:
    """The metric a training is judged by, where it is not accuracy."""
    told = measure(results.metric_of(run))
    value = words.number(found.get(told.name))
    return "" if told.name == "accuracy" or value is None else f"; {told.title} {told.say(value)}"


def judged(comparison: record.Comparison) -> str:
    """On which pictures the arms were judged, and with which weights."""
    part = {"test": "the test part", "val": "the validation part"}.get(str(comparison.summary.get("part")))
    epoch = {"last": "the weights of the last epoch", "best": "the weights of the best validation epoch"}
    said = [part or "", epoch.get(str(comparison.summary.get("epoch")), "")]
    return ", with ".join(filter(None, said))


def _shared(runs: Runs, names: list[str], metric: str, first: int = 0) -> dict[str, Any]:
    """The sections that both pages have; `first` is the colour of the first arm, 0 being a baseline's."""
    histograms, plain = mixing.lambda_figures(runs, first)
    rows, calibrations = calibration.calibrations(runs, first)
    table, curves_of_harm = robustness.robustness(runs, first)
    return {
        "arms": [(name, (first + i) % len(PALETTE)) for i, name in enumerate(runs)],
        "evaluated": _evaluated(runs),
        "remarks": _remarks(runs),
        "per_class": classes.per_class(runs, names, first),
        "confusions": confusion.confusions(runs, names, first),
        "matrix_max": confusion.MATRIX_MAX,
        "hardest": hardest.hardest(runs, first),
        "calibrations": rows,
        "calibration_plots": calibrations,
        "robustness": table,
        "robustness_plots": curves_of_harm,
        "curve_plots": curves.curve_figures(runs, metric, first),
        "further_plots": curves.further_figures(runs, metric, first),
        "schedule_plots": curves.schedule_figures(runs, first),
        "batches": mixing.batches(runs, names, first),
        "lambda_plots": histograms,
        "plain_arms": plain,
    }


def _evaluated(runs: Runs) -> str:
    """On which pictures the evaluation was made, "" where it was not made for all."""
    if not classes.is_evaluated(runs):
        return ""
    data = words.mapping(next(run for mine in runs.values() for run in mine).evaluation.get("data"))
    part = {"test": "the test part", "val": "the validation part", "train": "the training part"}
    where = part.get(str(data.get("part")), f"all of {_folder_name(data.get('root'))}")
    return f"{words.count(data.get('pictures'))} pictures, {where}"


def _remarks(runs: Runs) -> list[str]:
    """What is to be said of the pictures of the evaluation: what was left out, what flatters."""
    found: dict[str, None] = {}
    for data in (words.mapping(run.evaluation.get("data")) for mine in runs.values() for run in mine):
        left = words.mapping(data.get("left_out"))
        said = [f"{words.count(left[key])} {why}" for key, why in LEFT_OUT.items() if words.number(left.get(key))]
        found |= dict.fromkeys([f"Left out of the evaluation: {', '.join(said)}"] if said else [])
        found |= dict.fromkeys(_capital(str(note)) for note in words.listing(data.get("notes")))
    return list(found)[:REMARKS]


LEFT_OUT = {
    "trained_on": "that the run was trained on",
    "unknown_class": "of classes it does not know",
    "refused": "that are no pictures",
}
REMARKS = 10  # of many trainings each says the same, or nearly


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _commands(folder: Path, kind: str, is_finished: bool, runs: list[record.Run]) -> dict[str, Any]:
    evaluation = [run.evaluation for run in runs]
    further = commands.further(str(folder), is_finished=is_finished, kind=kind, evaluation=evaluation)
    return {"further": further, "not_run": commands.not_run(str(folder), evaluation)}


def _render(template: str, values: dict[str, Any]) -> Page:
    return render(template, values | {"story": [part for part in STORY if not part.needs or values.get(part.needs)]})


def _run_name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name


def _name(scan: dict[str, Any], folder: Path) -> str:
    return _folder_name(scan.get("root")) or folder.resolve().name


def _folder_name(root: Any) -> str:
    return str(root or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]
