"""Plain tables for the command line: of a comparison, of an evaluation, of anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossfade.report.words import (
    MINUS,
    NONE,
    baseline_of,
    clean,
    count,
    decimal,
    gap,
    gap_interval,
    line,
    listing,
    mapping,
    mean,
    percent,
    plural,
    scored,
    scored_interval,
)
from crossfade.training.metrics import METRICS

Found = Mapping[str, Any]
ECE_LIES_HIGH = (
    "the calibration error of a sample is on average larger than the true one, so its interval lies too high"
)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: the first row is its head, the first column is to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def ascii_only(text: str) -> str:
    """What every terminal can show; what it cannot is a question mark."""
    text = text.replace(MINUS, "-").replace(NONE, "-").replace("…", "~")
    return clean(text).encode("ascii", "replace").decode("ascii")


def summary_table(summary: Mapping[str, Any]) -> str:
    """The table of a comparison in plain ASCII, with the verdict below it, and the caution where it needs one.

    Args:
        summary: `summary.json` of a comparison (DESIGN section 6).

    Returns:
        Lines of equal columns: arm, its score, the 95% interval, difference to the baseline, mean seconds.
    """
    baseline, metric = baseline_of(summary), METRICS.get(str(summary.get("metric")), METRICS["accuracy"])
    rows = [("arm", metric.title, "95% CI", f"minus {line(baseline, 30)}", "95% CI", "seconds")]
    differences = mapping(summary.get("differences"))
    for name, arm in mapping(summary.get("arms")).items():
        difference = mapping(differences.get(f"{name} - {baseline}"))
        change = gap(difference.get("mean"), metric)
        arm = mapping(arm)
        seconds = mean(listing(arm.get("seconds")))
        rows.append(
            (
                line(name, 40),
                scored(arm.get("mean"), metric),
                scored_interval(arm.get("ci95"), metric),
                f"{change} points" if metric.percent and change != NONE else change,
                gap_interval(difference.get("ci95"), metric),
                NONE if seconds is None else f"{seconds:.1f}",
            )
        )
    said = [str(summary.get("verdict") or "No verdict yet."), *filter(None, [summary.get("caution")])]
    return ascii_only("\n\n".join([aligned(rows), *said]))


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
    rows += [
        (METRICS[name].title, scored(one["value"], METRICS[name]), scored_interval(one["ci95"], METRICS[name]))
        for name, one in found["metrics"].items()
    ]
    parts = [aligned(rows), *([ECE_LIES_HIGH] if found["metrics"]["ece"]["ci95"] else [])]
    parts.append(_calibration(found["calibration"]))
    if "robustness" in found:
        parts.append(_robustness(found["robustness"]))
    return "\n\n".join(parts)


def _calibration(found: Found) -> str:
    if found["temperature"] is None:
        return "calibration: no temperature was fitted"
    how = "on the other half of these pictures" if found["fitted_on"] == "halves" else "on the val part"
    return (
        f"calibration: temperature {found['temperature']:.3f}; fitted {how}, it changes the calibration error from "
        f"{decimal(found['ece'])} to {decimal(found['ece_after'])} and the log loss from "
        f"{decimal(found['log_loss'])} to {decimal(found['log_loss_after'])}"
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
        means = [scored(one["metrics"][name]["mean"], METRICS[name]) for name in names]
        rows.append((line(arm, 40), *means, decimal(one["calibration"]["temperature"]["mean"])))
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
