"""The overfit check: a network that cannot learn a few pictures by heart will learn nothing from many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.checking import causes
from crossfade.experiments.checking.causes import Cause, Looks
from crossfade.experiments.checking.labels import above_chance
from crossfade.experiments.probe import Descent, descend
from crossfade.training import record
from crossfade.training.callbacks import Callback
from crossfade.training.config import RunConfig
from crossfade.training.optimise import DEFAULT_LR
from crossfade.training.resume import begin
from crossfade.training.run import Bench, train_one

RUN = "run"
HELD_OUT = 1_000
SHORTEST = 3  # epochs, of which a trend can be told
FALLEN = 0.01  # a loss below it has nowhere to fall
LADDER = (0.01, 0.1, 1, 10, 100)  # times the rate
PROBE_EPOCHS, PROBE_STEPS = 5, (20, 60)


@dataclass(frozen=True)
class Check:
    """What is asked of a training.

    Args:
        config: of the training; its `per_class` pictures are those it is to fit.
        bound: the training accuracy to exceed.
    """

    config: RunConfig
    bound: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.bound < 1:
            raise ConfigError(f"check: bound is a share from 0 up to, not including, 1. Got {self.bound}. Pass 0.95.")
        if self.config.epochs < SHORTEST:
            raise ConfigError(
                f"check: a trend needs {SHORTEST} epochs or more. Got epochs={self.config.epochs}. Pass --epochs 20."
            )

    @property
    def lr(self) -> float:
        """The base rate, to six digits."""
        return float(f"{self.config.lr or DEFAULT_LR[self.config.optimizer]:.6g}")


@dataclass(frozen=True)
class Fit:
    """What became of the training.

    Attributes:
        lines: of its `metrics.jsonl`; "val" is measured on the training pictures, in evaluation mode.
        hits: held-out pictures named rightly, None where it did not end.
        letter: why it did not end, or "".
    """

    lines: list[dict[str, Any]]
    hits: int | None = None
    letter: str = ""

    @property
    def losses(self) -> list[float]:
        """The training loss of each epoch, as it was minimised."""
        return [line["train"]["loss"] for line in self.lines]

    @property
    def accuracies(self) -> list[float]:
        """The training accuracy after each epoch, in evaluation mode."""
        return [line["val"]["accuracy"] for line in self.lines]

    @property
    def running(self) -> list[float]:
        """The same while it learned, over the epoch, by the statistics of the batches."""
        return [line["train"]["accuracy_by_label_weight"] for line in self.lines]

    @property
    def trend(self) -> float:
        """By how much the logarithm of the loss changes an epoch: the median slope of all pairs (Theil and Sen)."""
        from scipy import stats

        if len(self.lines) < 2:
            return 0.0
        return float(stats.theilslopes(np.log(np.maximum(self.losses, 1e-12))).slope)


def on_itself(bench: Bench) -> Bench:
    """The same bench, judged on its training pictures after every epoch, and on held-out ones at the end.

    That is: its part "val" is its part "train", and its part "test" are validation pictures. A real test part is not
    touched.
    """
    split = bench.pictures.split
    held_out = split.val[:: -(-len(split.val) // HELD_OUT)]
    return replace(bench, pictures=replace(bench.pictures, split=replace(split, val=split.train, test=held_out)))


def check(bench: Bench, asked: Check, folder: Path, *, callbacks: Sequence[Callback] = ()) -> dict[str, Any]:
    """Train, judge, and where it fails look for the cause; a training that was stopped goes on.

    Args:
        bench: with the pictures to be fitted as its training part.
        folder: made by `record.make_folder`; the training goes into its folder `RUN`.

    Returns:
        What is also in `check.json`.
    """
    begin(bench, {**asked.config.as_dict(), "bound": asked.bound}, folder)
    config, bench = replace(asked.config, choose="last"), on_itself(bench)
    looks = causes.look(bench, config)
    weights = causes.moved(bench, config)
    fit = _fit(bench, config, folder / RUN, callbacks) if weights[1] else Fit([], letter="no weight may be trained")
    accuracy = fit.accuracies[-1] if fit.lines and not fit.letter else None
    passed = accuracy is not None and accuracy > asked.bound and (fit.trend < 0 or fit.losses[-1] < FALLEN)
    found, descents = _doubts(looks, fit, bench) if passed else _causes(bench, asked, looks, weights, fit)
    steps = len(fit.lines) * config.steps_per_epoch(len(looks.labels))
    result = {
        "passed": passed,
        "bound": asked.bound,
        "train_accuracy": accuracy,
        "held_out": {"right": fit.hits, "pictures": len(bench.pictures.split.test)},
        "epochs": len(fit.lines),
        "steps": steps,
        "pictures": bench.pictures.per_class()["train"],
        "lr": asked.lr,
        "losses": fit.losses,
        "accuracies": fit.accuracies,
        "running_accuracies": fit.running,
        "trend": fit.trend,
        "stopped": fit.letter or None,
        "causes": [cause.as_dict() for cause in found],
        "probes": [{"lr": one.lr, "losses": one.losses, "final": one.final} for one in descents],
    }
    result["sentence"] = sentence(result)
    record.write_json(folder / "check.json", result)
    return result


def _fit(bench: Bench, config: RunConfig, folder: Path, callbacks: Sequence[Callback]) -> Fit:
    folder.mkdir(exist_ok=True)
    hits, letter = None, ""
    try:
        summary = train_one(bench, config, folder, callbacks=callbacks, resume=True)
        hits = round(summary["judged"]["accuracy"] * len(bench.pictures.split.test))
    except TrainingError as error:
        letter = str(error)
    return Fit(record.read_lines(folder / "metrics.jsonl"), hits, letter)


def _doubts(looks: Looks, fit: Fit, bench: Bench) -> tuple[list[Cause], list[Descent]]:
    """What a check that passed should still say: a network may learn shuffled labels by heart."""
    judged = bench.pictures.index.labels[bench.pictures.split.test]
    cause = causes.shuffled_labels(looks, judged, [fit.hits or 0])
    return ([] if cause is None else [cause]), []


def _causes(
    bench: Bench, asked: Check, looks: Looks, weights: tuple[int, int, int], fit: Fit
) -> tuple[list[Cause], list[Descent]]:
    """The likely causes, the likeliest first; short trainings at other rates are made unless the cause is certain."""
    certain = [causes.constant_pictures(looks, asked.bound), causes.frozen_network(*weights)]
    if any(certain):
        return [cause for cause in certain if cause], []
    descents = _descents(bench, asked, blew_up=bool(fit.letter))
    if fit.letter:
        return [causes.no_number(fit.letter, descents)], descents
    judged = bench.pictures.index.labels[bench.pictures.split.test]
    hits = [one.held_out for one in descents if one.held_out is not None]
    shuffled = causes.shuffled_labels(looks, judged, [*hits, fit.hits or 0])
    rate = causes.learning_rate(descents, asked.lr)
    running, plain = fit.running[-1], fit.accuracies[-1]
    # Of a network that learned nothing at all, the labels are not the first thing to be doubted.
    learned = above_chance(round(max(running, plain) * len(looks.labels)), looks.labels) < causes.CHANCE
    likely = [shuffled, rate] if learned else [rate, shuffled]
    likely.append(causes.lagging_statistics(running, plain, asked.bound))
    if not any(likely):
        likely.append(causes.too_few_steps(fit.trend, len(fit.lines) * asked.config.steps_per_epoch(len(looks.labels))))
    return [cause for cause in likely if cause], descents


def _descents(bench: Bench, asked: Check, *, blew_up: bool) -> list[Descent]:
    per_epoch = asked.config.steps_per_epoch(len(bench.pictures.split.train))
    steps = int(np.clip(PROBE_EPOCHS * per_epoch, *PROBE_STEPS))
    rates = {float(f"{rate:.6g}") for rate in (DEFAULT_LR[asked.config.optimizer], *(f * asked.lr for f in LADDER))}
    wanted = sorted(rate for rate in rates if not blew_up or rate < asked.lr)
    return [descend(bench, asked.config, rate, steps, held_out=not blew_up) for rate in wanted]


def sentence(result: dict[str, Any]) -> str:
    """The verdict: what was found, and the likeliest cause."""
    pictures = sum(result["pictures"].values())
    if result["train_accuracy"] is None:
        found = "the training did not end"
    else:
        fall = -100 * math.expm1(result["trend"])
        goes = f"falls by {fall:.2g}%" if fall > 0 else f"rises by {-fall:.2g}%"
        goes = "is almost 0" if result["losses"][-1] < FALLEN else f"{goes} an epoch"
        found = (
            f"{100 * result['train_accuracy']:.1f}% of the {pictures:,} training pictures are named rightly after "
            f"{result['epochs']} epochs (bound: above {100 * result['bound']:g}%), and the loss {goes}"
        )
    first = result["causes"][0] if result["causes"] else None
    if result["passed"]:
        doubt = f". But perhaps {first['cause']}: {first['evidence']}" if first else ""
        return f"passed: {found}{doubt}."
    why = (
        f"{first['cause']}: {first['evidence']}. {first['advice']}"
        if first
        else ("none of the causes that were looked for was found. Try a larger network, or more epochs.")
    )
    return f"failed: {found}. Likely {why}" if first else f"failed: {found}; {why}"
