"""What was done, in a line of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.report import words
from crossfade.report.record import Run, setting, settings
from crossfade.report.sections.data import Data


def _file_sizes(sizes: Mapping[str, Any]) -> str:
    """{"height": {"min": 96, "max": 400}, "width": ...} -> "96 to 400 pixels high, 128 wide"."""
    said = []
    for key, word in (("height", "high"), ("width", "wide")):
        found = words.mapping(sizes.get(key))
        low, high = words.number(found.get("min")), words.number(found.get("max"))
        if low is None or high is None:
            return ""
        said.append((f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}", word))
    (height, high_word), (width, wide_word) = said
    return f"{height} pixels {high_word}, {width} {wide_word}"


def facts(config: str, runs: Sequence[Run], found: Data, scan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done, in pairs of a word and its value."""
    values = settings(config)
    pictures = sum(found.totals)
    split = ", ".join(f"{n:,} {part}" for part, n in zip(found.parts, found.totals, strict=True))
    epochs = setting(values, "epochs") or max((len(run.epochs) for run in runs), default=0)
    sizes = [words.number(run.summary.get("parameters")) for run in runs]
    parameters = next((size for size in sizes if size), None)
    model = setting(values, "model")
    size = words.number(scan.get("size")) or words.number(setting(values, "size"))
    pairs = [
        (
            "Pictures",
            f"{pictures:,} in {words.plural(len(found.classes), 'class', 'classes')}" if pictures else "",
        ),
        ("Parts", split if found.parts != ["pictures"] else ""),
        ("Files", _file_sizes(words.mapping(scan.get("sizes")))),
        ("Picture side", f"{size:.0f} pixels" if size else ""),
        ("Model", str(model) if isinstance(model, str) else ""),
        ("Parameters", words.count(parameters) if parameters else ""),
        ("Epochs", f"{epochs}" if epochs else ""),
    ]
    return [(word, value) for word, value in pairs if value]
