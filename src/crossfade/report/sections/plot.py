"""A figure on its way to the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from crossfade.report import inline
from crossfade.report.inline import Kind
from crossfade.report.record import Run

Runs = Mapping[str, Sequence[Run]]  # the trainings of each arm


@dataclass(frozen=True)
class Plot:
    """A figure for the page; and the same for a file of its own, where it needs a legend that the page has already."""

    name: str
    label: str  # what it shows, in words
    figure: Figure
    alone: Figure | None = None

    @cached_property
    def drawn(self) -> bytes:
        """The figure of the page as an SVG file: drawing is what writing a page takes time for, so it is done once."""
        return inline.drawn(self.figure)

    def file(self, kind: Kind = "svg") -> bytes:
        """The figure that stands alone as a file."""
        if self.alone is None and kind == "svg":
            return self.drawn
        return inline.drawn(self.alone or self.figure, kind)
