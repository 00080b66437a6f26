"""What a comparison is, and how its runs are summarised, whatever framework trained them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.statistics import caution, outcome, paired_difference, summarise_arm, verdict
from crossfade.mixing.registry import policy_from_spec
from crossfade.training.config import RunConfig
from crossfade.training.metrics import METRICS
from crossfade.training.record import finished

BASELINE = "none"

Found = Mapping[tuple[str, int], Mapping[str, Any]]


@dataclass(frozen=True)
class Design:
    """Arms, each trained once for each seed.

    Args:
        arms: their names.
        seeds: of first weights, order, augmentation and mixing.
        own: options in which an arm differs from the others beside its mixing, such as {"mixup": {"lr": 0.01}}.
    """

    arms: Sequence[str]
    seeds: Sequence[int]
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if not self.arms or not self.seeds:
            raise ConfigError(
                "compare: needs at least one arm and one seed. Give it two arms, none and mixup say, and three seeds."
            )
        for kind, items in (("arm", self.arms), ("seed", self.seeds)):
            if len(set(items)) < len(items):
                raise ConfigError(f"compare: every {kind} is run once. Got {', '.join(map(str, items))}.")
        folders = [arm_folder(arm) for arm in self.arms]
        if len(set(folders)) < len(folders):
            raise ConfigError(f"compare: arms must differ in more than spelling. Got {', '.join(self.arms)}.")

    @property
    def baseline(self) -> str:
        """The arm the others are measured against: "none" if it is there, else the first."""
        return BASELINE if BASELINE in self.arms else self.arms[0]


@dataclass(frozen=True)
class Comparison(Design):
    """A `Design` of the workbench, whose arms are mixing methods as the command line writes them.

    Args:
        config: what all have in common; its `mix` and `seed` are those of the runs.
    """

    config: RunConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        for arm in self.arms:
            policy_from_spec(arm, {"alpha": self.config.alpha})


def summarise(design: Design, found: Found) -> dict[str, Any]:
    """The summary of a comparison from the summaries of its runs, by (arm, seed)."""
    judged = next(iter(found.values()))["judged"]
    metric = METRICS[judged["metric"]]
    arms: dict[str, Any] = {}
    for arm in design.arms:
        runs = [found[arm, seed] for seed in design.seeds]
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
    baseline = design.baseline
    differences = {
        f"{arm} - {baseline}": paired_difference(arms[arm]["seeds"], arms[baseline]["seeds"], metric)
        for arm in design.arms
        if arm != baseline
    }
    return {
        "metric": metric.name,
        "arms": arms,
        "differences": differences,
        "verdict": verdict(differences, baseline, metric),
        **_caution([outcome(one, metric) for one in differences.values()]),
        "part": judged["part"],
        "epoch": judged["epoch"],
        "baseline": baseline,
        **({"own": {arm: dict(options) for arm, options in design.own.items()}} if design.own else {}),
        "seeds": list(design.seeds),
        "runs": {arm: [run_folder(arm, seed) for seed in design.seeds] for arm in design.arms},
    }


def _caution(shown: Sequence[str | None]) -> dict[str, str]:
    return {"caution": caution(len(shown))} if len(shown) > 1 and any(shown) else {}


def _number(value: float | None) -> float:
    """A score as it was before JSON, which has no word for nan."""
    return math.nan if value is None else value


def check_fair(found: Found, seed: int) -> None:
    """Raise unless the arms of a seed began with the same weights: else their numbers could not be compared."""
    hashes = {arm: run["initial_weights"] for (arm, its_seed), run in found.items() if its_seed == seed}
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


def run_folder(arm: str, seed: int) -> str:
    """Where in the folder of a comparison the training of an arm and a seed stands."""
    return f"{arm_folder(arm)}/seed-{seed}"
