"""An evaluation as a plain table, for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossfade.report.words import (
    NONE,
    aligned,
    ascii_only,
    count,
    line,
    number,
    pair,
    percent,
    percent_interval,
    plural,
)
from crossfade.training.metrics import METRICS

Found = Mapping[str, Any]


def evaluation_table(found: Found) -> str:
    """What `crossfade evaluate` prints: on what, every metric with its interval, calibration, robustness.

    Args:
        found: evaluation.json of a run, or of a comparison.
    """
    parts = [_judged_on(found["data"], found.get("classes")), _comparison(found) if "arms" in found else _run(found)]
    return ascii_only("\n\n".join(parts))


def _judged_on(data: Found, classes: list[str] | None) -> str:
    left = data["left_out"]
    of = f" of {len(classes)} classes" if classes else ""
    part = "all" if data["part"] == "all" else f"part {data['part']}"
    said = [
        f"{part} of {line(data['root'], 200)}: {count(data['pictures'])} pictures{of}",
        f"left out: {count(left['trained_on'])} that the run was trained on, {count(left['unknown_class'])} of unknown "
        f"classes; {count(left['refused'])} files of the folder are refused",
        *(line(note, 400) for note in data.get("notes", [])),
    ]
    return "\n".join(said)


def _run(found: Found) -> str:
    rows = [("metric", "value", "95% interval")]
    rows += [(METRICS[name].title, *_valued(name, one["value"], one["ci95"])) for name, one in found["metrics"].items()]
    parts = [aligned(rows), _calibration(found["calibration"])]
    if "robustness" in found:
        parts.append(_robustness(found["robustness"]))
    return "\n\n".join(parts)


def _valued(name: str, value: Any, interval: Any) -> tuple[str, str]:
    if METRICS[name].percent:
        return percent(value), percent_interval(interval)
    return _decimals(value), _decimal_interval(interval)


def _decimals(value: Any) -> str:
    found = number(value)
    return NONE if found is None else f"{found:.4f}"


def _decimal_interval(interval: Any) -> str:
    ends = pair(interval)
    return NONE if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"


def _calibration(found: Found) -> str:
    if found["temperature"] is None:
        return "calibration: no temperature was fitted"
    how = "on the other half of these pictures" if found["fitted_on"] == "halves" else "on the val part"
    return (
        f"calibration: temperature {found['temperature']:.3f}; fitted {how}, it changes the calibration error from "
        f"{_decimals(found['ece'])} to {_decimals(found['ece_after'])} and the log loss from "
        f"{_decimals(found['log_loss'])} to {_decimals(found['log_loss_after'])}"
    )


def _robustness(found: Found) -> str:
    head = f"accuracy of {plural(found['pictures'], 'picture')}, {percent(found['clean'])} as they are"
    rows: list[tuple[str, ...]] = [(head, "mildest", "", "", "", "strongest")]
    for curve in found["curves"].values():
        rows.append((f"{curve['title']} ({curve['unit']})", *(f"{strength:g}" for strength in curve["strengths"])))
        rows.append(("", *map(percent, curve["accuracy"])))
    return aligned(rows)


def _comparison(found: Found) -> str:
    names = list(next(iter(found["arms"].values()))["metrics"])
    rows = [("mean over seeds", *(METRICS[name].title for name in names), "temperature")]
    for arm, one in found["arms"].items():
        means = [_valued(name, one["metrics"][name]["mean"], None)[0] for name in names]
        rows.append((line(arm, 40), *means, _decimals(one["calibration"]["temperature"]["mean"])))
    parts = [aligned(rows)]
    curves = {arm: one["robustness"] for arm, one in found["arms"].items() if "robustness" in one}
    if curves:
        kinds = next(iter(curves.values()))
        rows = [("accuracy, mean over strengths", *(curve["title"] for curve in kinds.values()))]
        for arm, mine in curves.items():
            rows.append(
                (line(arm, 40), *(percent(sum(mine[kind]["mean"]) / len(mine[kind]["mean"])) for kind in kinds))
            )
        parts.append(aligned(rows))
    if found["sentences"]:
        parts.append("\n".join(line(sentence, 1000) for sentence in found["sentences"]))
    return "\n\n".join(parts)
