"""Whether all arms began alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.report import words
from crossfade.report.record import Comparison
from crossfade.report.sections.results import seeds_of


@dataclass(frozen=True)
class Weights:
    """The initial weights of one seed, arm by arm."""

    seed: str
    hashes: list[str]
    equal: bool | None  # None where a hash is missing


def fairness(arms: Mapping[str, Mapping[str, Any]], comparison: Comparison) -> list[Weights]:
    """Whether every arm began from the same weights, seed by seed."""
    hashes = [words.listing(arm.get("initial_weights")) for arm in arms.values()]
    n = max(map(len, hashes), default=0)
    seeds = seeds_of(comparison)
    found = []
    for i in range(n):
        row = [str(mine[i]) if i < len(mine) and mine[i] else "" for mine in hashes]
        equal = len(set(row)) == 1 if all(row) else None
        found.append(Weights(seeds[i] if i < len(seeds) else str(i), row, equal))
    return found
