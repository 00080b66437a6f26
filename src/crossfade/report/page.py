"""The page of a folder, whatever command made it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from crossfade.errors import ConfigError
from crossfade.report import record
from crossfade.report.files import json_of
from crossfade.report.pages.ablate import ablate_page
from crossfade.report.pages.check import check_page
from crossfade.report.pages.comparison import comparison_page
from crossfade.report.pages.lr import lr_page
from crossfade.report.pages.training import training_page
from crossfade.report.pages.tune import tune_page
from crossfade.report.record import Experiment
from crossfade.report.render import PAGE, Page, write

__all__ = ["PAGE", "write_report"]

STEPS: dict[str, Callable[[Experiment], Page]] = {  # the commands that leave a result of their own, KIND.json
    "check": check_page,
    "lr": lr_page,
    "ablate": ablate_page,
    "tune": tune_page,
}


def write_report(folder: Path, *, png: bool = False) -> Path:
    """Write `report.html`, and its figures as SVG files, into the folder of a training or an experiment.

    Args:
        folder: what a command that trains left. Missing pieces are named on the page.
        png: write each figure as a PNG file, too.

    Returns:
        The path of the page.

    Raises:
        ConfigError: the folder is none of these, or nothing can be written there.
    """
    folder = Path(folder)
    return write(_page(folder), folder, ("svg", "png") if png else ("svg",))


def _page(folder: Path) -> Page:
    for kind, page_of in STEPS.items():
        if (folder / f"{kind}.json").is_file():
            return page_of(record.read_experiment(folder, f"{kind}.json"))
    if (kind := json_of(folder / "command.json", {}, []).get("kind")) in STEPS:
        raise ConfigError(
            f"report: a page needs a result, and crossfade {kind} has left none yet. Got {folder}, which was stopped. "
            f"Go on with it: {shlex.join(['crossfade', 'resume', str(folder)])}"
        )
    found = record.read(folder)
    return comparison_page(found) if isinstance(found, record.Comparison) else training_page(found)
