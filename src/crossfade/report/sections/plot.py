"""A figure on its way to the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from crossfade.report.record import Run

Runs = Mapping[str, Sequence[Run]]  # the trainings of each arm


@dataclass(frozen=True)
class Plot:
    """A figure for the page, and the same for a file of its own, where it needs its own legend."""

    name: str
    label: str  # what it shows, in words
    figure: Figure
    alone: Figure
