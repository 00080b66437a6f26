"""What the pages of a training and of a comparison have in common: the order of the story, and most of its sections."""

from __future__ import annotations

from typing import Any

from crossfade.report import words
from crossfade.report.frame import folder_name
from crossfade.report.render import Section
from crossfade.report.sections import (
    calibration,
    classes,
    confusion,
    curves,
    hardest,
    mixing,
    robustness,
)
from crossfade.report.sections.plot import Runs
from crossfade.report.style import PALETTE

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
)


def told_of_both(runs: Runs, names: list[str], metric: str, first: int = 0) -> dict[str, Any]:
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
    where = part.get(str(data.get("part")), f"all of {folder_name(data.get('root'))}")
    return f"{words.count(data.get('pictures'))} pictures, {where}"


def _remarks(runs: Runs) -> list[str]:
    """What is to be said of the pictures of the evaluation: what was left out, what flatters."""
    found: dict[str, None] = {}
    for data in (words.mapping(run.evaluation.get("data")) for mine in runs.values() for run in mine):
        left = words.mapping(data.get("left_out"))
        said = [f"{words.count(left[key])} {why}" for key, why in LEFT_OUT.items() if words.number(left.get(key))]
        found |= dict.fromkeys([f"Left out of the evaluation: {', '.join(said)}"] if said else [])
        found |= dict.fromkeys(words.capital(str(note)) for note in words.listing(data.get("notes")))
    return list(found)[:REMARKS]


LEFT_OUT = {
    "trained_on": "that the run was trained on",
    "unknown_class": "of classes it does not know",
    "refused": "that are no pictures",
}
REMARKS = 10  # of many trainings each says the same, or nearly
