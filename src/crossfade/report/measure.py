"""How a metric is told: its name, its values and its differences as words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossfade.report import words
from crossfade.training.metrics import METRICS


@dataclass(frozen=True)
class Measure:
    """A metric on the page.

    Attributes:
        name: its key in records.
        title: its name at the head of a column.
        percent: whether it is a share, told in percent, its differences in points.
        lower: whether lower is better.
    """

    name: str
    title: str
    percent: bool
    lower: bool

    @property
    def scale(self) -> float:
        """What a value is multiplied by before it is drawn."""
        return 100.0 if self.percent else 1.0

    @property
    def of_gap(self) -> str:
        """The unit of a difference, for the head of a column: ", points" or nothing."""
        return ", points" if self.percent else ""

    def say(self, value: Any) -> str:
        """0.7449 -> "74.5%" of a share, "0.745" of another number."""
        return words.percent(value) if self.percent else words.decimal(value)

    def say_interval(self, ends: Any) -> str:
        """[0.734, 0.756] -> "73.4 to 75.6%", or "0.734 to 0.756"."""
        if self.percent:
            return words.percent_interval(ends)
        found = words.pair(ends)
        return words.NONE if found is None else " to ".join(map(words.decimal, found))

    def gap(self, value: Any) -> str:
        """0.0201 -> "+2.0" points of a share, "+0.020" of another number."""
        return words.points(value) if self.percent else words.decimal(value, signed=True)

    def gap_interval(self, ends: Any) -> str:
        """[0.009, 0.031] -> "+0.9 to +3.1", or "+0.009 to +0.031"."""
        found = words.pair(ends)
        return words.NONE if found is None else f"{self.gap(found[0])} to {self.gap(found[1])}"

    def favours(self, ends: Any) -> str:
        """What the interval of a difference shows: "better", "worse", or "" where it holds zero or is none."""
        found = words.pair(ends)
        if found is None or found[0] <= 0 <= found[1]:
            return ""
        return "worse" if (found[0] > 0) == self.lower else "better"


def measure(name: Any) -> Measure:
    """The measure of that name; one nobody knows is told as a plain number, nothing is accuracy."""
    metric = METRICS.get(str(name or "accuracy"))
    if metric is None:
        return Measure(str(name), words.line(name, 30), percent=False, lower=False)
    title = metric.title[0].upper() + metric.title[1:]
    return Measure(metric.name, title, metric.percent, metric.better == "lower")


MEASURES = {name: measure(name) for name in METRICS}
