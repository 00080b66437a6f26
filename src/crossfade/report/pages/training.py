"""The page of one training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossfade.report import record, words
from crossfade.report.frame import frame
from crossfade.report.measure import measure
from crossfade.report.pages.trained import STORY, told_of_both
from crossfade.report.render import Page, render
from crossfade.report.sections import data as pictures
from crossfade.report.sections import facts, metrics, results


def training_page(run: record.Run) -> Page:
    """The page of one training."""
    data = pictures.data(run.data, run.part_counts, run.classes)
    mix = record.setting(record.settings(run.config), "mix")
    done = facts.facts(run.config, [run], data, run.data)
    done += [("Time", words.duration(run.summary["seconds"]))] if run.summary.get("seconds") else []
    heads, rows = metrics.results_of(run)
    values = {
        "is_comparison": False,
        "headline": headline(run),
        "heads": heads,
        "results": rows,
        "flattered": results.flattered(words.mapping(run.summary.get("judged")), run.config),
        "facts": done,
        "data": data,
        **frame(run, "train", is_finished=bool(run.summary), summary=run.summary, runs=[run]),
        "name": _run_name(run.folder.resolve()),
        **told_of_both({str(mix or "this training"): [run]}, run.classes, results.metric_of(run), first=1),
    }
    return render("training.html.j2", STORY, values)


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


def _run_name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed-") else folder.name
