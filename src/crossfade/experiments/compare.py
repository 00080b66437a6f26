"""The fair comparison: every arm from the same first weights, on the same pictures, in the same order."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.statistics import paired_difference, summarise_arm, verdict
from crossfade.mixing.registry import policy_from_spec
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.metrics import METRICS
from crossfade.training.resume import alone_in, check_same, finished, has_begun
from crossfade.training.run import Bench, train_one

BASELINE = "none"

OnRun = Callable[[str, int], Sequence[Callback]]


@dataclass(frozen=True)
class Comparison:
    """Arms, each trained once for each seed.

    Args:
        arms: mixing methods as the command line writes them, such as ("none", "mixup:alpha=0.4").
        seeds: of first weights, order, augmentation and mixing.
        config: what all have in common; its `mix` and `seed` are those of the runs.
        own: options of `RunConfig` in which an arm differs, such as {"mixup": {"lr": 0.01}}.
    """

    arms: Sequence[str]
    seeds: Sequence[int]
    config: RunConfig
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arms or not self.seeds:
            raise ConfigError("compare: needs at least one arm and one seed. Pass --arm none --arm mixup --seeds 3.")
        for kind, items in (("arm", self.arms), ("seed", self.seeds)):
            if len(set(items)) < len(items):
                raise ConfigError(f"compare: every {kind} is run once. Got {', '.join(map(str, items))}.")
        for arm in self.arms:
            policy_from_spec(arm, {"alpha": self.config.alpha})
        folders = [arm_folder(arm) for arm in self.arms]
        if len(set(folders)) < len(folders):
            raise ConfigError(f"compare: arms must differ in more than spelling. Got {', '.join(self.arms)}.")

    @property
    def baseline(self) -> str:
        """The arm the others are measured against: "none" if it is there, else the first."""
        return BASELINE if BASELINE in self.arms else self.arms[0]


def compare(
    bench: Bench,
    comparison: Comparison,
    folder: Path,
    *,
    commands: Sequence[str] = (),
    on_run: OnRun | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train every arm for every seed, all arms of a seed before the next one.

    Writes into `folder`, made by `record.make_folder`.

    Args:
        commands: what the user typed, for the record.
        on_run: called before each training with (arm, seed); gives the callbacks of that training.
        resume: go on from what is there: trainings that are finished are kept, one that was stopped goes on.

    Returns:
        The summary, which is also in `summary.json`.
    """
    with alone_in(folder):
        if resume and has_begun(folder):
            check_same(folder, _table(comparison), bench.pictures)
        else:
            record.write_json(folder / "data.json", bench.pictures.summary())
            record.write_head(folder, bench.pictures, _table(comparison), bench.environment)
        return _train_all(bench, comparison, folder, commands, on_run, resume)


def _train_all(
    bench: Bench, comparison: Comparison, folder: Path, commands: Sequence[str], on_run: OnRun | None, resume: bool
) -> dict[str, Any]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    summary: dict[str, Any] = {}
    for done, seed in enumerate(comparison.seeds, start=1):
        for arm in comparison.arms:
            found[arm, seed] = _run(bench, comparison, arm, seed, folder, on_run, resume)
            _check_fair({name: run for (name, its_seed), run in found.items() if its_seed == seed})
        # Written seed by seed, so that what is done is not lost if the rest fails or is stopped.
        so_far = replace(comparison, seeds=comparison.seeds[:done])
        summary = {**summarise(so_far, found), "commands": list(commands)}
        record.write_json(folder / "summary.json", summary)
    return summary


def _table(comparison: Comparison) -> dict[str, Any]:
    """What all trainings have in common, and what they differ in."""
    several = {"arm": list(comparison.arms), "seeds": list(comparison.seeds)}
    return {**comparison.config.as_dict(), "mix": None, "seed": None, **several}


def _run(
    bench: Bench, comparison: Comparison, arm: str, seed: int, folder: Path, on_run: OnRun | None, resume: bool
) -> dict[str, Any]:
    own = folder / arm_folder(arm) / f"seed-{seed}"
    own.mkdir(parents=True, exist_ok=resume)
    callbacks = on_run(arm, seed) if on_run is not None else ()
    config = replace(comparison.config, mix=arm, seed=seed, **comparison.own.get(arm, {}))
    try:
        return train_one(bench, config, own, callbacks=callbacks, resume=resume)
    except TrainingError as error:
        raise TrainingError(f"{arm}, seed {seed}: {error}") from error


def summarise(comparison: Comparison, found: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[str, Any]:
    """The summary of a comparison from the summaries of its runs."""
    judged = next(iter(found.values()))["judged"]
    metric = METRICS[judged["metric"]]
    arms: dict[str, Any] = {}
    for arm in comparison.arms:
        runs = [found[arm, seed] for seed in comparison.seeds]
        metrics = {
            name: summarise_arm([_number(run["judged"][name]) for run in runs], METRICS[name])
            for name in METRICS
            if name in judged
        }
        arms[arm] = {
            **metrics[metric.name],
            "metrics": metrics,
            "initial_weights": [run["initial_weights"] for run in runs],
            "seconds": [run["seconds"] for run in runs],
        }
    baseline = comparison.baseline
    differences = {
        f"{arm} - {baseline}": paired_difference(arms[arm]["seeds"], arms[baseline]["seeds"], metric)
        for arm in comparison.arms
        if arm != baseline
    }
    return {
        "metric": metric.name,
        "arms": arms,
        "differences": differences,
        "verdict": verdict(differences, baseline, metric),
        "part": judged["part"],
        "epoch": judged["epoch"],
        "baseline": baseline,
        **({"own": {arm: dict(options) for arm, options in comparison.own.items()}} if comparison.own else {}),
        "seeds": list(comparison.seeds),
        "runs": {arm: [f"{arm_folder(arm)}/seed-{seed}" for seed in comparison.seeds] for arm in comparison.arms},
    }


def _number(value: float | None) -> float:
    """A score as it was before JSON, which has no word for nan."""
    return math.nan if value is None else value


def _check_fair(runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise unless the arms of a seed began with the same weights: else their numbers could not be compared."""
    hashes = {arm: run["initial_weights"] for arm, run in runs.items()}
    if len(set(hashes.values())) > 1:
        raise TrainingError(
            f"compare: all arms of a seed must begin with the same weights. Got {hashes}. "
            "Did the file of weights change while the comparison ran?"
        )


def is_finished(folder: Path, arms: Sequence[str], seeds: Sequence[int]) -> bool:
    """Whether the comparison in `folder` has a summary of all its trainings."""
    summary = finished(folder)
    return summary is not None and list(summary["arms"]) == list(arms) and summary["seeds"] == list(seeds)


def arm_folder(arm: str) -> str:
    """A folder name for an arm: letters, digits, dots, equals and dashes."""
    return re.sub(r"[^A-Za-z0-9.=]+", "-", arm).strip("-.")
