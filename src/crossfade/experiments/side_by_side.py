"""All runs of a comparison judged by the same pictures: what mixing bought besides accuracy.

COMPARISON/<arm>/seed-<n>/evaluation/   of every run, as `evaluate` writes it
COMPARISON/evaluation/evaluation.json   the arms side by side, and their differences seed by seed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.errors import ConfigError
from crossfade.experiments.evaluate import FOLDER, Options, evaluate, replacing, write
from crossfade.experiments.statistics import paired_difference, t_interval
from crossfade.experiments.subject import Pool, Progress, Subject, open_pool
from crossfade.training import record
from crossfade.training.metrics import METRICS

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
        where = _evaluate_comparison(folder, runs, data, options, argv, progress)
    else:
        subject = Subject.load(folder, options.weights)
        pool = open_pool(subject, data, progress)
        where = write(folder, evaluate(subject, pool, options, argv=argv, progress=progress))
    return record.read_json(where / "evaluation.json"), where


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
    pool: Pool | None = None
    found: dict[str, list[dict[str, Any]]] = {}
    for arm, places in runs.items():
        found[arm] = []
        for place in places:
            subject = Subject.load(folder / place, options.weights)
            pool = pool or open_pool(subject, data, progress)

            def tick(what: str, done: int, total: int, place: str = place) -> None:
                progress(f"{place}: {what}", done, total)

            done = evaluate(subject, pool, options, argv=argv, progress=tick)
            write(folder / place, done)
            found[arm].append(done.summary)
    summary = record.read_json(folder / "summary.json")
    together = {**side_by_side(found, str(summary["baseline"])), "runs": dict(runs), "argv": list(argv)}
    with replacing(folder / FOLDER) as new:
        record.write_json(new / "evaluation.json", together)
    return folder / FOLDER


# ---------------------------------------------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class Quantity:
    """A number that every run has, and how to speak of it."""

    title: str
    higher_is_better: bool
    percent: bool

    def difference(self, value: float) -> str:
        """With its sign: points of a share, or three decimals."""
        return f"{round(100 * value, 1) + 0.0:+} points" if self.percent else f"{round(value, 3) + 0.0:+}"

    def bare(self, value: float) -> str:
        """An end of an interval."""
        return self.difference(value).removesuffix(" points")

    def shown(self, value: float) -> float:
        """As it is printed: "better ... 0.0 to 3.1" would contradict itself."""
        return round(100 * value, 1) if self.percent else round(value, 3)


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
        "metrics": {name: _over_seeds([run["metrics"][name]["value"] for run in runs]) for name in names},
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


def _over_seeds(values: Sequence[float | None]) -> dict[str, Any]:
    """{"seeds", "mean", "ci95"}; the last two None where a seed has no number."""
    if any(value is None or not np.isfinite(value) for value in values):
        return {"seeds": list(values), "mean": None, "ci95": None}
    return {"seeds": list(values), "mean": float(np.mean(values)), "ci95": t_interval(values)}  # type: ignore[arg-type]


def _difference(arm: Found, baseline: Found) -> dict[str, Any]:
    """Paired over seeds, of every metric, of calibration after scaling, and of robustness.

    Of a kind of robustness: the mean over its strengths, and under "at" each of them.
    """
    quantities = {
        **{name: (arm["metrics"][name], baseline["metrics"][name]) for name in arm["metrics"]},
        "ece_after": (arm["calibration"]["ece_after"], baseline["calibration"]["ece_after"]),
    }
    found: dict[str, Any] = {
        name: paired_difference(own["seeds"], other["seeds"])
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
        differences: {"arm - baseline": {quantity: {"mean", "ci95", "n"}, "robustness": {kind: ...}}}.
        robustness: {kind: title}.
    """
    told = [_tell(pair.removesuffix(f" - {baseline}"), found, robustness) for pair, found in differences.items()]
    said = [sentence for one in told for sentence in one]
    looked = sum(len(_besides(found, robustness)) for found in differences.values())
    if looked > 1 and any(" than " in sentence for sentence in said):
        said.append(f"{looked} differences were looked at; where there is none, one in twenty still seems to be one")
    return said


def _besides(found: Found, robustness: Mapping[str, str]) -> list[tuple[Quantity, Found]]:
    quantities = {
        **{name: Quantity(METRICS[name].title, False, METRICS[name].percent) for name in ("ece", "log_loss")},
        "ece_after": Quantity("calibration error after temperature scaling", False, METRICS["ece"].percent),
    }
    plain = [(quantity, found[name]) for name, quantity in quantities.items() if name in found]
    spoiled = found.get("robustness", {})
    return plain + [
        (Quantity(f"accuracy under {title}", True, True), spoiled[kind])
        for kind, title in robustness.items()
        if kind in spoiled
    ]


def _tell(arm: str, found: Found, robustness: Mapping[str, str]) -> list[str]:
    besides = _besides(found, robustness)
    if not besides:
        return []
    n = besides[0][1]["n"]
    if n < 2:
        return [f"{arm}: one seed is an anecdote; run more seeds to see what mixing bought besides accuracy"]
    groups: dict[str, list[str]] = {"better": [], "worse": [], "unclear": []}
    for quantity, difference in besides:
        groups[_verdict(quantity, difference)].append(_phrase(quantity, difference))
    said = [
        f"{arm} is {how} than the baseline, over {n} paired seeds: {'; '.join(groups[how])}"
        for how in ("better", "worse")
        if groups[how]
    ]
    if groups["unclear"]:
        said.append(f"{arm}: no difference was shown over {n} paired seeds: {'; '.join(groups['unclear'])}")
    return said


def _verdict(quantity: Quantity, difference: Found) -> str:
    low, high = map(quantity.shown, difference["ci95"])
    if low <= 0 <= high or low == high:  # seeds that are all alike have no spread to judge by
        return "unclear"
    return "better" if (low > 0) == quantity.higher_is_better else "worse"


def _phrase(quantity: Quantity, difference: Found) -> str:
    low, high = map(quantity.bare, difference["ci95"])
    return f"{quantity.title} {quantity.difference(difference['mean'])} (95% CI {low} to {high})"


def _robustness_titles(arms: Mapping[str, Found]) -> dict[str, str]:
    curves = next(iter(arms.values())).get("robustness", {})
    return {kind: str(curve["title"]) for kind, curve in curves.items()}
