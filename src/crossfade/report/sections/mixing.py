"""What the model saw: the first batch of each arm, and how strongly all samples were mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossfade.report import figures, inline, words
from crossfade.report.record import Run
from crossfade.report.sections.plot import Plot, Runs
from crossfade.report.style import PALETTE

BUDGET = 1_100_000  # characters of a page spent on these pictures, all arms together


@dataclass(frozen=True)
class Picture:
    """A mixed picture with what it counts as."""

    address: str
    alt: str
    parts: list[tuple[str, str, float]]  # weight in words, class name, percent
    note: str


@dataclass(frozen=True)
class Batch:
    """The first batch of an arm."""

    arm: str
    color: int
    seed: str
    crisp: bool
    mixed: int
    pictures: list[Picture]
    left_out: int


def batches(runs: Runs, classes: Sequence[str], first: int = 0) -> list[Batch]:
    """Each arm's first batch, from the first of its runs that kept one."""
    kept = [
        (i, arm, next((run for run in mine if run.seen), None)) for i, (arm, mine) in enumerate(runs.items(), first)
    ]
    found = [(i, arm, run) for i, arm, run in kept if run is not None]
    budget = BUDGET // max(1, len(found))
    return [_batch(i, arm, run, run.classes or classes, budget) for i, arm, run in found]


def _batch(i: int, arm: str, run: Run, classes: Sequence[str], budget: int) -> Batch:
    seen = run.seen
    assert seen is not None
    addresses = inline.pictures(seen.images, budget=budget)
    shown = []
    for address, weights, layers in zip(addresses, seen.weights, seen.label_of_layer, strict=False):
        names = [
            classes[k] if 0 <= k < len(classes) else "no label" if k < 0 else f"class {k}" for k in layers.tolist()
        ]
        parts = words.label_weights(weights.tolist(), names)
        visible = int((weights >= 0.005).sum())
        note = f"{visible} of a kind" if len(parts) == 1 and visible > 1 else ""
        shown.append(
            Picture(
                address,
                words.caption(weights.tolist(), names),
                [(f"{w:.2f}", name, 100 * w) for name, w in parts],
                note,
            )
        )
    return Batch(
        arm,
        i % len(PALETTE),
        run.seed,
        inline.is_crisp(seen.images),
        int(seen.mixed.sum()),
        shown,
        len(seen.images) - len(shown),
    )


def lambda_figures(runs: Runs, first: int = 0) -> tuple[list[Plot], list[str]]:
    """A histogram per arm that mixed anything, summed over its seeds; and the arms that mixed nothing."""
    found, plain = [], []
    for i, (arm, mine) in enumerate(runs.items(), first):
        kept = [run.lambdas for run in mine if run.lambdas]
        if not kept:
            continue
        same = [k for k in kept if np.array_equal(k.edges, kept[0].edges)]
        counts = np.sum([k.counts for k in same], axis=0)
        unmixed, total = sum(k.unmixed for k in same), sum(k.total for k in same)
        if not np.any(counts):
            plain.append(arm)
            continue
        picture = figures.lambda_figure(
            kept[0].edges, counts, title=arm, unmixed=unmixed, total=total, color=figures.arm_color(i)
        )
        label = f"Histogram of lambda, {arm}: {total - unmixed} of {total} samples mixed"
        found.append(Plot(f"lambda-{i}", label, picture))
    return found, plain
