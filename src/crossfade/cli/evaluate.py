"""crossfade evaluate: what a run, or every run of a comparison, is worth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from crossfade.cli.options import Checkpoint
from crossfade.errors import ConfigError


def evaluate(
    run: Annotated[Path, Parameter(help="folder of a training or of a comparison")],
    data: Annotated[Path | None, Parameter(help="folder of pictures; the run's own if not said")] = None,
    /,
    *,
    part: Annotated[
        Literal["test", "val", "train", "all"] | None,
        Parameter(help="which pictures; test where there is one, else val, else all, if not said"),
    ] = None,
    with_trained: Annotated[
        bool, Parameter(negative="", help="judge by pictures that the run was trained on, too")
    ] = False,
    robustness: Annotated[
        bool, Parameter(negative="", help="also spoil the pictures in five ways, and attack them with FGSM and PGD")
    ] = False,
    robustness_pictures: Annotated[
        int, Parameter(help="how many pictures that is done to, evenly of all classes")
    ] = 1000,
    hardest: Annotated[int, Parameter(help="how many pictures of the highest loss to keep")] = 16,
    weights: Checkpoint = None,
    seed: Annotated[int, Parameter(help="of resamples, noise and attacks")] = 0,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="print the whole evaluation as JSON")] = False,
) -> None:
    """Judge a run, or every run of a comparison: metrics with intervals, calibration, the hardest pictures.

    What is found is written into RUN/evaluation, where it replaces an earlier one, and onto the page of the run.
    """
    for flag, value, least in (("hardest", hardest, 0), ("robustness-pictures", robustness_pictures, 1)):
        if value < least:
            raise ConfigError(f"evaluate: --{flag} must be {least} or more. Got {value}.")

    from crossfade.cli.progress import stages
    from crossfade.cli.work import report_and_say
    from crossfade.experiments.evaluation.evaluate import Options
    from crossfade.experiments.evaluation.side_by_side import evaluate_folder
    from crossfade.report.tables import evaluation_table

    options = Options(part, with_trained, weights, hardest, robustness_pictures if robustness else None, seed)
    with stages() as progress:
        found, where = evaluate_folder(run, data, options, argv=["crossfade", *sys.argv[1:]], progress=progress)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print(evaluation_table(found))
        print(f"written: {where}")
    report_and_say(run, aside=as_json)
