"""The search for method, alpha, learning rate and weight decay, and what of its gain is left on fresh seeds.

    for every trial:   choose, train, judge on validation alone; give up early where it falls behind
    then:              the best with mixing against the best without, each with its own numbers, on seeds the
                       search has not seen: the highest of many noisy numbers flatters whoever got it

Trials never see the test part: it is taken out of the pictures they are given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.compare import OnRun, compare
from crossfade.experiments.comparison import BASELINE, Comparison
from crossfade.experiments.tuning.sentences import sentences
from crossfade.experiments.tuning.space import arm_of, is_mixing, overrides, space_of, with_params
from crossfade.experiments.tuning.study import Asked, Pruned, Study
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.keeper import chosen_metric
from crossfade.training.metrics import Metric
from crossfade.training.resume import check_same
from crossfade.training.run import Bench, train_one

RESULT = "tune.json"
WINNER = "winner"
PRUNED = "pruned"

Trial = dict[str, Any]
OnTrial = Callable[[int, str], Sequence[Callback]]
OnEnded = Callable[[Trial], None]


@dataclass(frozen=True)
class Search:
    """What is searched, how long, and on which seeds the winner is tried again.

    Args:
        arms: mixing methods as the command line writes them.
        trials: how many.
        seeds: of the winner's trainings; the search's own, `config.seed`, is none of them.
        config: what all trainings have in common; where it says lr, weight_decay or alpha, that is not searched.
        timeout: seconds after which no trial is begun; None for no limit.
    """

    arms: Sequence[str]
    trials: int
    seeds: Sequence[int]
    config: RunConfig
    timeout: float | None = None

    def __post_init__(self) -> None:
        space_of(self.arms, self.config)
        if type(self.trials) is not int or self.trials < 1:
            raise ConfigError(f"trials: must be a whole number, 1 or more. Got {self.trials!r}.")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise ConfigError(f"timeout: must be a number of minutes above 0. Got {self.timeout / 60:g}.")
        if self.config.seed in self.seeds:
            raise ConfigError(
                f"seeds: the winner is tried on seeds that the search has not seen, and {self.config.seed} is its own. "
                f"Got {', '.join(map(str, self.seeds))}. Choose others, or another --seed."
            )


def fresh_seeds(count: int, seed: int) -> list[int]:
    """The first `count` seeds from 0 on that are not `seed`."""
    return [number for number in range(count + 1) if number != seed][:count]


def tune(
    bench: Bench,
    search: Search,
    folder: Path,
    *,
    commands: Sequence[str] = (),
    on_trial: OnTrial | None = None,
    on_ended: OnEnded | None = None,
    on_run: OnRun | None = None,
) -> dict[str, Any]:
    """Search, then try the winner on fresh seeds; goes on where a search in `folder` was cut off.

    Writes into `folder`, one made by `record.make_folder`: `study.sqlite`, `trials/<number>`, `winner` (a comparison),
    `tune.json` after every trial.

    Args:
        commands: what the user typed, for the record.
        on_trial: called before each trial with (number, arm); gives the callbacks of its training.
        on_ended: called after each trial with its entry in `tune.json`.
        on_run: as of `compare`, for the trainings of the winner.

    Returns:
        What is in `tune.json`.

    Raises:
        TrainingError: no trial came to its end.
    """
    with record.alone_in(folder):
        if record.has_begun(folder):
            check_same(folder, _table(search), bench.pictures)
        else:
            record.write_json(folder / "data.json", bench.pictures.summary())
            record.write_head(folder, bench.pictures, _table(search), bench.environment)
        return _tune(bench, search, folder, commands, on_trial, on_ended, on_run)


def _table(search: Search) -> dict[str, Any]:
    """What is written into `config.toml`: what all trainings have in common, and the search itself."""
    asked = {"arm": list(search.arms), "seeds": list(search.seeds), "trials": search.trials, "timeout": search.timeout}
    return {**search.config.as_dict(), "mix": None, **asked}


def _tune(
    bench: Bench,
    search: Search,
    folder: Path,
    commands: Sequence[str],
    on_trial: OnTrial | None,
    on_ended: OnEnded | None,
    on_run: OnRun | None,
) -> dict[str, Any]:
    metric = chosen_metric(search.config, bench.pictures)
    space = space_of(search.arms, search.config)
    maximise = metric.better == "higher"
    study = Study(folder, space, seed=search.config.seed, epochs=search.config.epochs, maximise=maximise)
    head = {
        "metric": metric.name,
        "part": bench.pictures.judged,
        "asked": search.trials,
        "seed": search.config.seed,
        "seeds": list(search.seeds),
        "epochs": search.config.epochs,
        "space": space.as_dict(),
        "commands": list(commands),
    }

    def write(**more: Any) -> dict[str, Any]:
        trials = study.trials
        found = {**head, "trials": trials, "best": best(trials, metric), "importance": study.importance(), **more}
        found["sentences"] = sentences(found)
        record.write_json(folder / RESULT, found)
        return found

    def ended() -> None:
        trial = write()["trials"][-1]
        if on_ended is not None:
            on_ended(trial)

    if not _is_searched(folder):
        _search(bench, search, study, metric, folder, on_trial, ended)
        write(searched=True)  # from here on the winner stands, wherever this is cut off
    winner = _confirm(bench, search, study.trials, metric, folder / WINNER, commands, on_run)
    return write(searched=True, winner=winner)


def best(trials: Sequence[Trial], metric: Metric, *, mixing: bool | None = None) -> Trial | None:
    """The finished trial with the best value, the first of equal ones; of arms that mix, that do not, or all (None)."""
    finished = [
        trial for trial in trials if trial["value"] is not None and mixing in (None, is_mixing(trial["params"]["mix"]))
    ]
    return max(finished, key=lambda trial: metric.sign * trial["value"], default=None)


def _is_searched(folder: Path) -> bool:
    """Whether an earlier sitting ended the search, so that its winner stands."""
    path = folder / RESULT
    return path.is_file() and bool(record.read_json(path).get("searched"))


def is_finished(folder: Path) -> bool:
    """Whether the winner was tried as well."""
    path = folder / RESULT
    return path.is_file() and "winner" in record.read_json(path)


def _search(
    bench: Bench,
    search: Search,
    study: Study,
    metric: Metric,
    folder: Path,
    on_trial: OnTrial | None,
    ended: Callable[[], None],
) -> None:
    """Trials until there are enough of them, or no time is left."""
    start = time.monotonic()
    blind, config = bench.without_test(), _judged_as_winner(search.config, bench, metric)
    while len(study.ended) < search.trials:
        if search.timeout is not None and time.monotonic() - start >= search.timeout:
            return
        asked = study.ask()
        watchers = () if on_trial is None else on_trial(asked.number, arm_of(asked.params))
        value, notes = _train(blind, with_params(config, asked.params), metric, asked, folder, watchers)
        study.tell(asked, value, notes)
        ended()


def _judged_as_winner(config: RunConfig, bench: Bench, metric: Metric) -> RunConfig:
    """A trial counts by the epoch that the winner will be judged by."""
    choose = config.choose or ("best" if bench.pictures.judged == "test" else "last")
    return replace(config, choose=choose, metric=metric.name)


def _train(
    bench: Bench, config: RunConfig, metric: Metric, asked: Asked, folder: Path, watchers: Sequence[Callback]
) -> tuple[float | None, dict[str, Any]]:
    """One trial: its value, None where it was given up; and {"epochs", "seconds", "folder", "reason"?}."""
    own = folder / "trials" / f"{asked.number:03d}"
    own.mkdir(parents=True, exist_ok=True)
    judge = _Judge(asked, metric, config.epochs)
    value, reason = None, None
    try:
        judge.catch_up(own)
        summary = train_one(bench, config, own, callbacks=[*watchers, judge], resume=True)
        value = float(summary["judged"][metric.name])
        if not math.isfinite(value):
            value, reason = None, f"{metric.title} is not defined on what it predicts"
    except Pruned:
        reason = PRUNED
    except TrainingError as error:
        reason = str(error)
    lines = record.read_lines(own / "metrics.jsonl")
    notes = {
        "arm": arm_of(asked.params),
        "epochs": len(lines),
        "seconds": sum(line["seconds"] for line in lines),
        "folder": own.relative_to(folder).as_posix(),
    }
    return value, notes if value is not None else {**notes, "reason": reason}


class _Judge(Callback):
    """Tells the study of every epoch, once, also of those before a training was cut off."""

    def __init__(self, asked: Asked, metric: Metric, epochs: int) -> None:
        self._asked, self._metric, self._epochs = asked, metric, epochs
        self._heard = 0

    def catch_up(self, folder: Path) -> None:
        for line in record.read_lines(folder / "metrics.jsonl"):
            self.on_epoch(line)

    def on_epoch(self, line: Mapping[str, Any]) -> None:
        if line["epoch"] > self._heard:
            self._heard = line["epoch"]
            value = line["val"][self._metric.name]
            self._asked.report(self._heard, math.nan if value is None else value, last=self._heard == self._epochs)


def _confirm(
    bench: Bench,
    search: Search,
    trials: Sequence[Trial],
    metric: Metric,
    folder: Path,
    commands: Sequence[str],
    on_run: OnRun | None,
) -> dict[str, Any]:
    """The best with mixing against the best without, on fresh seeds: `winner` in tune.json."""
    mixing, plain = best(trials, metric, mixing=True), best(trials, metric, mixing=False)
    chosen = mixing or plain
    if chosen is None:
        reasons = sorted({str(trial["reason"]) for trial in trials})
        raise TrainingError(
            f"tune: at least one trial must come to its end. Got {len(trials)} that did not: "
            f"{'; '.join(reasons)[:300]}. Train for more epochs, or search elsewhere."
        )
    rival = {"mix": BASELINE, **overrides(chosen["params"])} if plain is None else plain["params"]
    params = {arm_of(rival): rival, arm_of(chosen["params"]): chosen["params"]}
    config = replace(search.config, metric=metric.name)
    own = {arm: overrides(choice) for arm, choice in params.items()}
    comparison = Comparison(list(params), list(search.seeds), config, own=own)
    folder.mkdir(exist_ok=True)
    summary = compare(bench, comparison, folder, commands=commands, on_run=on_run, resume=True)
    arm, baseline = arm_of(chosen["params"]), arm_of(rival)
    return {
        "arm": arm,
        "params": chosen["params"],
        "trial": chosen["number"],
        "value": chosen["value"],
        "baseline": {
            "arm": baseline,
            "params": rival,
            "trial": None if plain is None else plain["number"],
            "value": None if plain is None else plain["value"],
        },
        "fresh": {name: {key: found[key] for key in ("mean", "ci95")} for name, found in summary["arms"].items()},
        "difference": summary["differences"].get(f"{arm} - {baseline}"),
        "verdict": summary["verdict"],
        "comparison": f"{WINNER}/summary.json",
    }
