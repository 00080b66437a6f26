"""The verdicts: one line of the table for each thing that has a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from benchmarks.timing import Timing, show


@dataclass(frozen=True)
class Line:
    """One line of the table, in words."""

    work: str
    ours: str
    best_peer: str
    ratio: str
    bar: str
    met: str


@dataclass(frozen=True)
class Section:
    """What one benchmark found: lines for the table, all its candidates, and remarks."""

    title: str
    lines: list[Line]
    candidates: list[Timing]
    notes: list[str] = field(default_factory=list)


def beside_peers(work: str, ours: Timing, peers: Sequence[Timing], bar: float, *, pictures: int = 0) -> Line:
    """How many times faster than the fastest peer; `pictures` shows speeds as pictures a second."""
    floor = f">= {bar:g}x"
    if not peers:
        return Line(work, _speed(ours, pictures), "none is installed", "-", floor, "not judged")
    best = min(peers, key=lambda peer: peer.median)
    ratio = best.median / ours.median
    named = f"{_speed(best, pictures)} ({best.name})"
    return Line(work, _speed(ours, pictures), named, f"{ratio:.1f}x", floor, _yes(ratio >= bar))


def beside_copy(work: str, ours: Timing, copy: Timing, bar: float) -> Line:
    """Which share of the speed of a plain copy."""
    share = copy.median / ours.median
    named = f"{show(copy.median)} ({copy.name})"
    return Line(work, show(ours.median), named, f"{share:.2f}", f">= {bar:g}", _yes(share >= bar))


def at_most(work: str, value: float, limit: float, unit: str) -> Line:
    """A figure with a limit, and no peer."""
    shown = f"{value:,.0f}" if value >= 10 else f"{value:.3f}"
    return Line(work, f"{shown} {unit}", "-", "-", f"<= {limit:g} {unit}", _yes(value <= limit))


def text(sections: Iterable[Section]) -> str:
    """The table, then every candidate of every section."""
    sections = list(sections)
    heads = Line("work", "ours", "best peer", "ratio", "bar", "met")
    rows = [[getattr(line, f.name) for f in fields(Line)] for line in [heads, *(x for s in sections for x in s.lines)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    shown.insert(1, "  ".join("-" * width for width in widths))
    for section in sections:
        shown += ["", f"{section.title}: median, fastest .. slowest"]
        width = max((len(timing.name) for timing in section.candidates), default=0)
        ranked = sorted(section.candidates, key=lambda timing: timing.median)
        shown += [f"  {timing.name.ljust(width)}  {timing}" for timing in ranked]
        shown += [f"  {note}" for note in section.notes]
    return "\n".join(shown)


def _speed(timing: Timing, pictures: int) -> str:
    return f"{pictures / timing.median:,.0f} pictures/s" if pictures else show(timing.median)


def _yes(met: bool) -> str:
    return "yes" if met else "NO"
