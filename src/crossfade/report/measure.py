"""How a metric is told on the page: its name, its values and its differences as words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossfade.experiments.statistics import outcome
from crossfade.report import words
from crossfade.training.metrics import METRICS, Metric


@dataclass(frozen=True)
class Measure:
    """A metric on the page."""

    metric: Metric

    @property
    def name(self) -> str:
        """Its key in records."""
        return self.metric.name

    @property
    def title(self) -> str:
        """Its name at the head of a column or a sentence."""
        return words.capital(self.metric.title)

    @property
    def percent(self) -> bool:
        """Whether it is a share, told in percent, its differences in points."""
        return self.metric.percent

    @property
    def lower(self) -> bool:
        """Whether lower is better."""
        return self.metric.better == "lower"

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
        return words.scored(value, self.metric)

    def say_interval(self, ends: Any) -> str:
        """[0.734, 0.756] -> "73.4 to 75.6%", or "0.734 to 0.756"."""
        return words.scored_interval(ends, self.metric)

    def gap(self, value: Any) -> str:
        """0.0201 -> "+2.0" points of a share, "+0.020" of another number."""
        return words.gap(value, self.metric)

    def gap_interval(self, ends: Any) -> str:
        """[0.009, 0.031] -> "+0.9 to +3.1", or "+0.009 to +0.031"."""
        return words.gap_interval(ends, self.metric)

    def favours(self, ends: Any) -> str:
        """What the interval of a difference shows: "better", "worse", or "" where the verdict claims nothing either."""
        shown = outcome({"ci95": words.pair(ends)}, self.metric)
        return {"helps": "better", "hurts": "worse", None: ""}[shown]


def measure(name: Any) -> Measure:
    """The measure of that name; one nobody knows is told as a plain number, nothing is accuracy."""
    known = METRICS.get(str(name or "accuracy"))
    return Measure(known or Metric(str(name), words.line(name, 30), "higher", percent=False))


MEASURES = {name: measure(name) for name in METRICS}
