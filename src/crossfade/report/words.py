"""Numbers as words: percent with one decimal, points with a sign, label weights, the plain table."""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossfade.training.metrics import Metric

NONE = "\u2013"  # an en dash: no number here
MINUS = "\u2212"
LARGEST = sys.float_info.max


def number(value: Any) -> float | None:
    """A finite float, or None for everything that is not one (null, NaN, text)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST and math.isfinite(value) else None


def listing(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def numbers(values: Any) -> list[float]:
    """A JSON list as numbers, NaN where it has none."""
    return [math.nan if found is None else found for found in map(number, listing(values))]


def clean(text: Any) -> str:
    """Text that any page or terminal can hold: control, surrogate and direction marks become U+FFFD."""
    return "".join("\ufffd" if _is_control(c) else c for c in str(text))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") and character not in "\n\t\u200d"


def line(text: Any, limit: int = 60) -> str:
    """One clean line of at most `limit` characters."""
    text = " ".join(clean(text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def percent(value: Any) -> str:
    """0.7449 -> "74.5%"."""
    found = number(value)
    return NONE if found is None else f"{100 * found:.1f}%"


def points(value: Any) -> str:
    """A difference of two accuracies, 0.0201 -> "+2.0"; a rounded zero has no sign."""
    found = number(value)
    if found is None:
        return NONE
    text = f"{100 * found:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def decimal(value: Any, *, signed: bool = False) -> str:
    """0.6134 -> "0.613"; signed, "+0.613", and a rounded zero has no sign."""
    found = number(value)
    if found is None:
        return NONE
    text = f"{found:+.3f}" if signed else f"{found:.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", MINUS)


def losses(values: Any, ends: int = 3) -> list[str]:
    """Losses of epochs, small ones with two digits: of many, the first and the last few around "…"."""
    said = [decimal(v) if v is None or abs(v) >= 0.1 else f"{v:.2g}" for v in map(number, listing(values))]
    return said if len(said) <= 2 * ends + 2 else [*said[:ends], "…", *said[-ends:]]


def pair(values: Any) -> tuple[float, float] | None:
    """The two ends of an interval, or None where there is none (one seed, an unfinished comparison)."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
        return None
    low, high = number(values[0]), number(values[1])
    return None if low is None or high is None else (low, high)


def scored(value: Any, metric: Metric) -> str:
    """A value of a metric: 0.7449 -> "74.5%", or "0.745" where it is no share."""
    return percent(value) if metric.percent else decimal(value)


def scored_interval(values: Any, metric: Metric) -> str:
    """[0.734, 0.756] -> "73.4 to 75.6%", or "0.734 to 0.756"."""
    ends = pair(values)
    if ends is None:
        return NONE
    low, high = (scored(end, metric) for end in ends)
    return f"{low.removesuffix('%')} to {high}"


def gap(value: Any, metric: Metric) -> str:
    """A difference of two values of a metric: 0.0201 -> "+2.0" points, or "+0.020"."""
    return points(value) if metric.percent else decimal(value, signed=True)


def gap_interval(values: Any, metric: Metric) -> str:
    """[0.009, 0.031] -> "+0.9 to +3.1" points, or "+0.009 to +0.031"."""
    ends = pair(values)
    return NONE if ends is None else f"{gap(ends[0], metric)} to {gap(ends[1], metric)}"


def duration(seconds: Any) -> str:
    """3.14 -> "3.1 s", 185 -> "3 min 05 s", 7300 -> "2 h 02 min"."""
    found = number(seconds)
    if found is None:
        return NONE
    if found < 99.95:
        return f"{found:.1f} s"
    whole = round(found)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rate(value: Any) -> str:
    """A learning rate: 0.001 -> "0.001", 1e-05 -> "1e-05"."""
    found = number(value)
    return NONE if found is None else f"{found:g}"


def count(value: Any) -> str:
    """12345 -> "12,345"."""
    found = number(value)
    return NONE if found is None else f"{round(found):,}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """1 -> "1 seed", 3 -> "3 seeds"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def signs(text: str) -> str:
    """Every hyphen that stands for a minus as a minus: "-4.8 points" but "16-bit" and "a-1" as they are."""
    return re.sub(r"(?<![^\s(\[])-(?=\d)", MINUS, text)


def sentences(verdict: str) -> list[str]:
    """The parts of a verdict, one for each arm: they are joined by "; " after the interval in brackets."""
    return re.split(r"(?<=\)); ", verdict)


def clauses(sentence: str) -> list[str]:
    """The parts of a sentence between semicolons that stand in no brackets."""
    return re.split(r"; (?![^(]*\))", sentence)


def capital(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """The text with a capital and, where it has none, a full stop."""
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")


def mean(values: Iterable[Any]) -> float | None:
    """The mean of the numbers among `values`."""
    found = [v for v in map(number, values) if v is not None]
    return sum(found) / len(found) if found else None


def label_weights(weights: Sequence[float], names: Sequence[str]) -> list[tuple[str, float]]:
    """What a mixed picture counts as: (name, weight), the heaviest first, layers of one class added up."""
    total: dict[str, float] = {}
    for weight, name in zip(weights, names, strict=True):
        total[name] = total.get(name, 0.0) + float(weight)
    return sorted(((n, w) for n, w in total.items() if w >= 0.005), key=lambda item: -item[1])


def caption(weights: Sequence[float], names: Sequence[str]) -> str:
    """[0.72, 0.28], ["rose", "daisy"] -> "0.72 rose / 0.28 daisy"."""
    return " / ".join(f"{weight:.2f} {line(name, 40)}" for name, weight in label_weights(weights, names))


def baseline_of(summary: Mapping[str, Any]) -> str | None:
    """The arm that the others are held against: named in the summary, or the first."""
    arms = mapping(summary.get("arms"))
    named = summary.get("baseline")
    return named if isinstance(named, str) and named in arms else next(iter(arms), None)
