"""What is taken for what: truth against prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.report.sections.plot import Runs
from crossfade.report.style import PALETTE

MATRIX_MAX = 30  # classes; beyond that a matrix is no longer read, only the worst pairs are
PAIRS = 20


@dataclass(frozen=True)
class Confusion:
    """Truth against prediction for one arm: a matrix, or beyond `MATRIX_MAX` classes the worst pairs."""

    arm: str
    color: int
    runs: int
    part: str
    matrix: list[tuple[str, int, list[tuple[int, float]]]]  # class, pictures, (count, share) per column
    pairs: list[tuple[str, str, int, float]]  # truth, prediction, count, share of the truth


def confusions(runs: Runs, classes: Sequence[str], first: int = 0) -> list[Confusion]:
    """One per arm that kept any, summed over its seeds."""
    found = []
    for i, (arm, mine) in enumerate(runs.items(), first):
        kept = [run.confusion for run in mine if run.confusion is not None]
        kept = [matrix for matrix in kept if matrix.shape == kept[0].shape]
        if not kept:
            continue
        total = np.sum(kept, axis=0)
        names = list(classes)
        names += [f"class {k}" for k in range(len(names), len(total))]
        shares = total / np.maximum(1, total.sum(axis=1, keepdims=True))
        matrix = [
            (names[r], int(total[r].sum()), list(zip(total[r].tolist(), shares[r].tolist(), strict=True)))
            for r in range(len(total))
        ]
        found.append(
            Confusion(
                arm,
                i % len(PALETTE),
                len(kept),
                next(run.confusion_part for run in mine if run.confusion is not None),
                matrix if len(total) <= MATRIX_MAX else [],
                _worst(total, shares, names),
            )
        )
    return found


def _worst(total: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int, float]]:
    wrong = np.where(np.eye(len(total), dtype=bool), 0, total)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [np.unravel_index(k, total.shape) for k in order if wrong.flat[k]]
    return [(names[r], names[c], int(total[r, c]), float(shares[r, c])) for r, c in pairs]
