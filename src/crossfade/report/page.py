"""The page of a folder, whatever command made it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crossfade.report import record
from crossfade.report.pages.ablate import ablate_page
from crossfade.report.pages.check import check_page
from crossfade.report.pages.comparison import comparison_page
from crossfade.report.pages.lr import lr_page
from crossfade.report.pages.training import training_page
from crossfade.report.pages.tune import tune_page
from crossfade.report.record import Experiment
from crossfade.report.render import PAGE, Page, write

__all__ = ["PAGE", "write_report"]

BY_RESULT: dict[str, Callable[[Experiment], Page]] = {
    "check.json": check_page,
    "lr.json": lr_page,
    "ablate.json": ablate_page,
    "tune.json": tune_page,
}


def write_report(folder: Path) -> Path:
    """Write `report.html`, and its figures as SVG files, into the folder of a training or an experiment.

    Args:
        folder: what a command that trains left. Missing pieces are named on the page.

    Returns:
        The path of the page.

    Raises:
        ConfigError: the folder is none of these, or nothing can be written there.
    """
    folder = Path(folder)
    return write(_page(folder), folder)


def _page(folder: Path) -> Page:
    """By the file that the command left its result in; what has none is a training or a comparison."""
    for result, page_of in BY_RESULT.items():
        if (folder / result).is_file():
            return page_of(record.read_experiment(folder, result))
    found = record.read(folder)
    return comparison_page(found) if isinstance(found, record.Comparison) else training_page(found)
