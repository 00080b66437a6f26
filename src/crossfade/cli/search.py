"""What `crossfade tune` shows while it searches: a line for each trial, then the trainings of the winner."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossfade.cli.progress import bar, epoch_line, say
from crossfade.cli.work import report_and_say
from crossfade.experiments.tuning.tune import PRUNED, WINNER, Search, tune
from crossfade.report import summary_table
from crossfade.report.words import scored
from crossfade.training.callbacks import Callback, Watch
from crossfade.training.keeper import chosen_metric
from crossfade.training.metrics import Metric
from crossfade.training.record import read_json
from crossfade.training.run import Bench

_IN_ARM = ("mix", "alpha")


def run_search(bench: Bench, search: Search, folder: Path, command: Sequence[str]) -> None:
    """Search, or go on with it; print what is left of the gain, and say where the page is."""
    metric = chosen_metric(search.config, bench.pictures)
    with bar("searching, steps") as tick:

        def on_trial(number: int, arm: str) -> list[Callback]:
            return [Watch(step=lambda done, steps: tick(number * steps + done, search.trials * steps))]

        def on_run(arm: str, seed: int) -> list[Callback]:
            return [Watch(epoch=epoch_line(f"{arm}, seed {seed}", search.config.epochs, metric))]

        def on_ended(trial: Mapping[str, Any]) -> None:
            say(_line(trial, metric, search.trials))

        found = tune(
            bench,
            search,
            folder,
            commands=[shlex.join(command)],
            on_trial=on_trial,
            on_ended=on_ended,
            on_run=on_run,
        )
    say("")
    print(summary_table(read_json(folder / WINNER / "summary.json")))
    print("\n" + "\n".join(found["sentences"]))
    report_and_say(folder)


def _line(trial: Mapping[str, Any], metric: Metric, trials: int) -> str:
    """Number, value and what was chosen, such as "trial  4/20   81.3%  mixup:alpha=0.31, lr 0.0021  (pruned ...)"."""
    known = [value for value in trial["values"] if value is not None and math.isfinite(value)]
    value = trial["value"] if trial["value"] is not None else next(reversed(known), None)
    score = "-" if value is None else scored(value, metric)
    rest = (f"{name.replace('_', ' ')} {number:g}" for name, number in trial["params"].items() if name not in _IN_ARM)
    end = f"{trial['seconds']:.1f} s"
    if trial["state"] == "pruned":
        why = "pruned at" if trial["reason"] == PRUNED else f"{trial['reason']} After"
        end = f"{why} epoch {trial['epochs']}, {end}"
    number = f"{trial['number'] + 1:{len(str(trials))}d}/{trials}"
    return f"  trial {number}  {score:>6}  {', '.join([trial['arm'], *rest])}  ({end})"
