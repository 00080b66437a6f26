"""The pictures each arm did worst on."""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.report import inline, words
from crossfade.report.record import Run
from crossfade.report.sections.plot import Runs
from crossfade.report.style import PALETTE

BUDGET = 600_000  # characters of a page spent on these pictures, all arms together
SIDE = 160  # pixels; a hundred of them are looked over, none is studied
OF_EACH_ARM = 8  # of a comparison; a single training shows all it kept


@dataclass(frozen=True)
class Hard:
    """A picture with what it is and what the model said."""

    address: str
    alt: str
    path: str
    truth: str
    predicted: str
    probability: str
    is_right: bool


@dataclass(frozen=True)
class HardOnes:
    """The hardest pictures of an arm."""

    arm: str
    color: int
    seed: str
    crisp: bool
    pictures: list[Hard]
    left_out: int


def hardest(runs: Runs, first: int = 0) -> list[HardOnes]:
    """The pictures of the highest loss, from the first run of each arm that kept some."""
    kept = [
        (i, arm, next((run for run in mine if run.hardest is not None), None))
        for i, (arm, mine) in enumerate(runs.items(), first)
    ]
    found = [(i, arm, run) for i, arm, run in kept if run is not None]
    most = OF_EACH_ARM if len(runs) > 1 else None
    return [_of_run(i, arm, run, BUDGET // len(found), most) for i, arm, run in found]


def _of_run(i: int, arm: str, run: Run, budget: int, most: int | None) -> HardOnes:
    assert run.hardest is not None
    rows = [words.mapping(row) for row in words.listing(run.evaluation.get("hardest"))]
    images = run.hardest[: len(rows)]
    addresses = inline.pictures(images[:most], budget=budget, side=SIDE)
    shown = []
    for address, row in zip(addresses, rows, strict=False):
        truth, predicted, path = (str(row.get(key, "")) for key in ("truth", "predicted", "path"))
        probability = words.percent(row.get("probability"))
        alt = f"{words.line(truth)}, taken for {words.line(predicted)} at {probability}: {words.line(path, 200)}"
        shown.append(Hard(address, alt, path, truth, predicted, probability, truth == predicted))
    crisp = inline.is_crisp(images)
    return HardOnes(arm, i % len(PALETTE), run.seed, crisp, shown, len(images) - len(shown))
