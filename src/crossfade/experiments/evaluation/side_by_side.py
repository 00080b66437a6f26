"""All runs of a comparison judged by the same pictures: what mixing bought besides accuracy.

COMPARISON/<arm>/seed-<n>/evaluation/   of every run, as `evaluate` writes it
COMPARISON/evaluation/evaluation.json   the arms side by side, and their differences seed by seed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.errors import ConfigError
from crossfade.experiments.evaluation.evaluate import FOLDER, Options, check_writable, evaluate, replacing, write
from crossfade.experiments.evaluation.subject import Pool, Progress, Subject, open_pool
from crossfade.experiments.statistics import caution, outcome, paired_difference, summarise_arm, t_interval, verdict
from crossfade.training import record
from crossfade.training.metrics import METRICS, Metric

Found = Mapping[str, Any]


def evaluate_folder(
    folder: Path, data: Path | None, options: Options, *, argv: Sequence[str] = (), progress: Progress
) -> tuple[dict[str, Any], Path]:
    """Evaluate a training, or every training of a comparison, and write what was found.

    Args:
        folder: of a training or of a comparison.
        data: folder of pictures; None for the run's own.

    Returns:
        `evaluation.json` of the folder as it was written, and the folder it is in.

    Raises:
        ConfigError, DataError, CacheError, CheckpointError: see `Subject.load`, `open_pool`, `evaluate`, `write`.
    """
    runs = _runs(folder)
    if runs:
        check_writable(folder)
        where = _evaluate_comparison(folder, runs, data, options, argv, progress)
    else:
        subject = Subject.load(folder, options.weights)
        check_writable(folder)
        pool, own = _pools(subject, data, progress)
        where = write(folder, evaluate(subject, pool, options, own_pool=own, argv=argv, progress=progress))
    return record.read_json(where / "evaluation.json"), where


def _pools(subject: Subject, data: Path | None, progress: Progress) -> tuple[Pool, Callable[[], Pool]]:
    """The folder asked for; and the run's own, opened when it is first needed, and once."""
    return open_pool(subject, data, progress), cache(lambda: open_pool(subject, None, progress))


def _runs(folder: Path) -> dict[str, list[str]]:
    """{arm: [folders]} of a comparison; empty for a training.

    Raises:
        ConfigError: a comparison without a summary.
    """
    try:
        return dict(record.read_json(folder / "summary.json")["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        if any(folder.glob("*/seed-*")):
            raise ConfigError(
                f"evaluate: a comparison's summary.json names its runs. Got {folder}, which has none yet. "
                f"Let it finish a seed, or evaluate one run, such as {next(folder.glob('*/seed-*'))}."
            ) from None
        return {}


def _evaluate_comparison(
    folder: Path, runs: Mapping[str, Sequence[str]], data: Path | None, options: Options, argv: Sequence[str],
    progress: Progress,
) -> Path:  # fmt: skip
    pools: tuple[Pool, Callable[[], Pool]] | None = None
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in runs}
    for arm, place in [(arm, place) for arm, places in runs.items() for place in places]:
        subject = Subject.load(folder / place, options.weights)
        pool, own = pools = pools or _pools(subject, data, progress)

        def tick(what: str, done: int, total: int, place: str = place) -> None:
            progress(f"{place}: {what}", done, total)

        evaluation = evaluate(subject, pool, options, own_pool=own, argv=argv, progress=tick)
        write(folder / place, evaluation)
        found[arm].append(evaluation.summary)
    summary = record.read_json(folder / "summary.json")
    together = {**side_by_side(found, str(summary["baseline"])), "runs": dict(runs), "argv": list(argv)}
    with replacing(folder / FOLDER) as new:
        record.write_json(new / "evaluation.json", together)
    return folder / FOLDER


# ---------------------------------------------------------------------------------------------------- what is compared


def side_by_side(found: Mapping[str, Sequence[Found]], baseline: str) -> dict[str, Any]:
    """The evaluations of a comparison's runs as one: means over seeds, paired differences, sentences.

    Args:
        found: {arm: [evaluation.json of each seed]}, all arms in the order of the same seeds.
        baseline: the arm the others are held against.

    Raises:
        ConfigError: the runs were not judged by the same pictures.
    """
    data = [run["data"] for runs in found.values() for run in runs]
    if any(
        (one["root"], one["part"], one["pictures"]) != (data[0]["root"], data[0]["part"], data[0]["pictures"])
        for one in data
    ):
        raise ConfigError(
            "evaluate: all runs of a comparison must be judged by the same pictures. "
            f"Got {sorted({one['pictures'] for one in data})} pictures. Were their split.csv changed?"
        )
    arms = {arm: _arm(runs) for arm, runs in found.items()}
    differences = {f"{arm} - {baseline}": _difference(arms[arm], arms[baseline]) for arm in arms if arm != baseline}
    return {
        "data": data[0],
        "part": data[0]["part"],
        "pictures": data[0]["pictures"],
        "baseline": baseline,
        "arms": arms,
        "differences": differences,
        "sentences": sentences(differences, baseline, _robustness_titles(arms)),
    }


def _arm(runs: Sequence[Found]) -> dict[str, Any]:
    """What one arm's runs have in common."""
    names = runs[0]["metrics"]
    arm: dict[str, Any] = {
        "metrics": {
            name: _over_seeds([run["metrics"][name]["value"] for run in runs], METRICS[name]) for name in names
        },
        "calibration": {
            name: _over_seeds([run["calibration"][name] for run in runs])
            for name in ("ece_after", "log_loss_after", "temperature")
        },
    }
    if "robustness" in runs[0]:
        arm["robustness"] = {
            kind: _curve([run["robustness"]["curves"][kind] for run in runs])
            for kind in runs[0]["robustness"]["curves"]
        }
    return arm


def _curve(curves: Sequence[Found]) -> dict[str, Any]:
    seeds = [curve["accuracy"] for curve in curves]
    axis = {key: curves[0][key] for key in ("title", "unit", "strengths")}
    return {**axis, "seeds": seeds, "mean": np.mean(seeds, axis=0).tolist()}


def _over_seeds(values: Sequence[float | None], metric: Metric | None = None) -> dict[str, Any]:
    """{"seeds", "mean", "ci95"}; the last two None where a seed has no number."""
    numbers = [value for value in values if value is not None and np.isfinite(value)]
    if len(numbers) < len(values):
        return {"seeds": list(values), "mean": None, "ci95": None}
    if metric is not None:
        return summarise_arm(numbers, metric)
    return {"seeds": numbers, "mean": float(np.mean(numbers)), "ci95": t_interval(numbers)}


def _difference(arm: Found, baseline: Found) -> dict[str, Any]:
    """Paired over seeds, of every metric, of calibration after scaling, and of robustness.

    Of a kind of robustness: the mean over its strengths, and under "at" each of them.
    """
    quantities = {
        **{name: (arm["metrics"][name], baseline["metrics"][name]) for name in arm["metrics"]},
        "ece_after": (arm["calibration"]["ece_after"], baseline["calibration"]["ece_after"]),
    }
    found: dict[str, Any] = {
        name: paired_difference(own["seeds"], other["seeds"], METRICS.get(name, METRICS["ece"]))
        for name, (own, other) in quantities.items()
        if own["mean"] is not None and other["mean"] is not None
    }
    if "robustness" in arm:
        found["robustness"] = {
            kind: _robustness_difference(curve["seeds"], baseline["robustness"][kind]["seeds"])
            for kind, curve in arm["robustness"].items()
        }
    return found


def _robustness_difference(own: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> dict[str, Any]:
    at = [paired_difference(a, b) for a, b in zip(np.transpose(own), np.transpose(other), strict=True)]
    return {**paired_difference(np.mean(own, axis=1).tolist(), np.mean(other, axis=1).tolist()), "at": at}


# ----------------------------------------------------------------------------------------------------------- in words


def sentences(differences: Mapping[str, Found], baseline: str, robustness: Mapping[str, str]) -> list[str]:
    """What mixing bought besides accuracy: what the paired differences show, and no more.

    Args:
        differences: {"arm - baseline": {quantity: {"mean", "ci95", "n", ...}, "robustness": {kind: ...}}}.
        baseline: the arm they are measured against.
        robustness: {kind: title}.
    """
    said, looked = [], 0
    for pair, found in differences.items():
        besides = _besides(found, robustness)
        looked += len(besides)
        said += _tell(pair, baseline, besides)
    if looked > 1 and any(" helps: " in one or " hurts: " in one for one in said):
        said.append(caution(looked))
    return said


def _besides(found: Found, robustness: Mapping[str, str]) -> list[tuple[Metric, Found]]:
    """The quantities beside accuracy, and their differences."""
    scaled = replace(METRICS["ece"], title=f"{METRICS['ece'].title} after temperature scaling")
    plain = {"ece": METRICS["ece"], "ece_after": scaled, "log_loss": METRICS["log_loss"]}
    spoiled = found.get("robustness", {})
    return [(metric, found[name]) for name, metric in plain.items() if name in found] + [
        (
            Metric(kind, f"accuracy under {title if title.isupper() else title.lower()}", "higher", percent=True),
            spoiled[kind],
        )
        for kind, title in robustness.items()
        if kind in spoiled
    ]


def _tell(pair: str, baseline: str, besides: Sequence[tuple[Metric, Found]]) -> list[str]:
    arm = pair.removesuffix(f" - {baseline}")
    if besides and besides[0][1]["n"] < 2:
        return [f"{arm}: one seed is an anecdote; run more seeds to see what it bought besides accuracy"]
    shown = [(metric, found) for metric, found in besides if outcome(found, metric)]
    said = [verdict({pair: found}, baseline, metric) for metric, found in shown]
    unclear = [metric.title for metric, found in besides if not outcome(found, metric)]
    if unclear:
        said.append(f"{arm}: no difference was shown in {', '.join(unclear)}")
    return said


def _robustness_titles(arms: Mapping[str, Found]) -> dict[str, str]:
    curves = next(iter(arms.values())).get("robustness", {})
    return {kind: str(curve["title"]) for kind, curve in curves.items()}
