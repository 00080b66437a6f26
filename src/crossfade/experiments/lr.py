"""Which learning rate: a few of them side by side, or one that rises until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossfade.errors import ConfigError, TrainingError
from crossfade.experiments.probe import new_training, rising
from crossfade.training import record
from crossfade.training.callbacks import Callback, Step
from crossfade.training.config import RunConfig, write_toml
from crossfade.training.keeper import chosen_metric
from crossfade.training.optimise import DEFAULT_LR, schedule_to_draw
from crossfade.training.resume import begin
from crossfade.training.run import Bench, train_one

MEMORY = 0.85  # of the smoothed loss: six or seven steps
EXPLODED = 3.0  # times the lowest smoothed loss
SETTLED = 5  # steps before which nothing is concluded
LEAST_FALL = 0.02  # of the first loss
LEAST_NOISES = 1.5  # times the scatter from step to step: in 200 steps noise alone falls by that in 1 test of 300
NEARLY = 0.02  # of the whole fall
LOSSES = "losses.json"


def smooth(losses: Sequence[float], memory: float = MEMORY) -> list[float]:
    """A running mean without the bias of its start:  v_t = m v_{t-1} + (1 - m) l_t,   s_t = v_t / (1 - m^(t+1)).

    Source:
        Kingma & Ba 2015, Adam, arXiv:1412.6980, section 3 (the correction).
    """
    mean, found = 0.0, []
    for step, loss in enumerate(losses):
        mean = memory * mean + (1 - memory) * loss
        found.append(mean / (1 - memory ** (step + 1)))
    return found


# ------------------------------------------------------------------------------------------------ the sweep


class LossHistory(Callback):
    """The loss of every step, kept in a file of the run folder: a training that goes on goes on with it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOSSES
        self._waiting: list[Step] = []
        self.losses: list[float] = []
        if self._path.exists():  # of an earlier part of the training
            self.losses = [math.nan if loss is None else loss for loss in record.read_json(self._path)]

    def on_step(self, step: Step) -> None:
        """Note it; its value is asked for at the end of the epoch."""
        self._waiting.append(step)

    def on_epoch(self, line: Mapping[str, Any]) -> None:
        """Write what there is."""
        self._write()

    def on_end(self, summary: Mapping[str, Any] | None) -> None:
        """Write the rest of a training that failed or was stopped."""
        self._write()

    def _write(self) -> None:
        for step in self._waiting:
            self.losses += [math.nan] * (step.done - len(self.losses))
            self.losses[step.done - 1] = float(step.loss)
        self._waiting.clear()
        record.write_json(self._path, self.losses)


@dataclass(frozen=True)
class Sweep:
    """Learning rates, each trained with from the same first weights on the same batches.

    Args:
        config: of all of them; its `lr` is each of `values` in turn.
        values: finite and above 0, each once.
    """

    config: RunConfig
    values: Sequence[float]

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(value) and value > 0 for value in self.values):
            given = ", ".join(f"{value:g}" for value in self.values) or "none"
            raise ConfigError(f"lr: values are finite numbers above 0. Got {given}. Pass --values 0.1,0.01,0.001.")
        names = [f"{value:g}" for value in self.values]
        if len(set(names)) < len(names):
            raise ConfigError(f"lr: every value is tried once. Got {', '.join(names)}.")


OnValue = Callable[[float], Sequence[Callback]]


def sweep(bench: Bench, asked: Sweep, folder: Path, *, on_value: OnValue | None = None) -> dict[str, Any]:
    """Train with every rate for a few epochs; the best is that with the lowest training loss in the last epoch.

    A test part is not touched.

    Args:
        folder: made by `record.make_folder`; the trainings go into its folders lr-VALUE.
        on_value: called before each training with its rate; gives its callbacks.

    Returns:
        What is also in `lr.json`.
    """
    config = asked.config
    begin(bench, {**config.as_dict(), "values": list(asked.values)}, folder)
    bench = bench.without_test()
    metric = chosen_metric(config, bench.pictures)
    values: dict[str, Any] = {}
    for value in asked.values:
        callbacks = on_value(value) if on_value is not None else ()
        values[f"{value:g}"] = _one(bench, replace(config, lr=value), folder / f"lr-{value:g}", callbacks, metric.name)
    result = {
        "kind": "values",
        "optimizer": config.optimizer,
        "epochs": config.epochs,
        "metric": metric.name,
        "values": values,
        **best_of(values),
    }
    record.write_json(folder / "lr.json", result)
    return result


def _one(bench: Bench, config: RunConfig, folder: Path, callbacks: Sequence[Callback], metric: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    history, stopped = LossHistory(folder), None
    try:
        train_one(bench, config, folder, callbacks=[*callbacks, history], resume=True)
    except TrainingError as error:
        stopped = str(error)
    lines = record.read_lines(folder / "metrics.jsonl")
    return {
        "losses": smooth([loss for loss in history.losses if math.isfinite(loss)]),
        "epochs": [line["train"]["loss"] for line in lines],
        "val": lines[-1]["val"][metric] if lines and stopped is None else None,
        "stopped": stopped,
    }


def best_of(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{"suggestion", "sentence"}: the rate with the lowest last loss, and whether one beyond it may be better."""
    ended = {name: one["epochs"][-1] for name, one in values.items() if one["stopped"] is None}
    lost = [name for name in values if name not in ended]
    blown = f" The loss blew up at {', '.join(lost)}." if lost else ""
    if not ended:
        return {"suggestion": None, "sentence": f"no rate is good:{blown} Try smaller ones, or --clip-norm 1."}
    best = min(ended, key=lambda name: ended[name])
    words = f"{best} is best: its training loss ends at {ended[best]:.3g}"
    others = [f"{loss:.3g} at {name}" for name, loss in ended.items() if name != best]
    words += f" ({', '.join(others)})." if others else "."
    tried = sorted(map(float, values))
    if len(tried) > 1 and float(best) in (tried[0], tried[-1]):
        further = float(best) * (10 if float(best) == tried[-1] else 0.1)
        words += f" It is the {'largest' if further > tried[-1] else 'smallest'} of them: try {further:g}, too."
    return {"suggestion": float(best), "sentence": words + blown}


# ------------------------------------------------------------------------------------------------ the range test


@dataclass(frozen=True)
class Range:
    """The rates of a range test.

    Args:
        config: of the training; its schedule and rate are not used.
        low, high: the first and the last rate.
        steps: at most; the test ends where the loss explodes.
    """

    config: RunConfig
    low: float = 1e-7
    high: float = 10.0
    steps: int = 200

    def __post_init__(self) -> None:
        if not (math.isfinite(self.high) and 0 < self.low < self.high):
            raise ConfigError(
                f"lr: low is above 0 and below high. Got low={self.low:g}, high={self.high:g}. "
                "Pass --low 1e-7 --high 10, say."
            )
        if self.steps < 4 * SETTLED:
            raise ConfigError(
                f"lr: a range test needs {4 * SETTLED} steps or more. Got {self.steps}. Pass --steps 200."
            )


def range_test(
    bench: Bench, asked: Range, folder: Path, *, tick: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Let the rate rise from step to step, by equal ratios, until the loss explodes.

    Nothing is kept of the network. What is suggested is a tenth of the rate at which the smoothed loss is lowest: there
    it is about to rise, and a training stays longer at its rate than the test does.

    Args:
        folder: made by `record.make_folder`.
        tick: told how far it is.

    Returns:
        What is also in `lr.json`.

    Source:
        Smith 2015, Cyclical learning rates, arXiv:1506.01186, section 3.3. Differs: the rate rises by equal ratios
        instead of equal steps, as in Howard & Gugger's fastai, and the loss is looked at instead of the accuracy.
    """
    config = replace(asked.config, lr=asked.high, ema=None)
    begin(bench, asked.config.as_dict(), folder)
    seen: list[float] = []

    def go_on(loss: float) -> bool:
        seen.append(loss)
        tick(len(seen), asked.steps)
        smoothed = smooth(seen)
        return math.isfinite(loss) and (len(seen) < SETTLED or smoothed[-1] < EXPLODED * min(smoothed))

    factor = rising(asked.low, asked.high, asked.steps)
    new_training(bench, config, factor).descend(asked.steps, go_on)
    tick(asked.steps, asked.steps)
    losses = [loss for loss in seen if math.isfinite(loss)]
    rates = [asked.high * factor(step) for step in range(len(losses))]
    exploded = len(seen) < asked.steps or len(losses) < len(seen)
    found = suggest(rates, losses, exploded=exploded)
    result = {
        "kind": "range",
        "optimizer": config.optimizer,
        "steps": len(seen),
        "exploded": exploded,
        "range": {"rates": rates, "losses": losses, "smoothed": smooth(losses)},
        **found,
    }
    record.write_json(folder / "lr.json", result)
    return result


def suggest(rates: Sequence[float], losses: Sequence[float], *, exploded: bool) -> dict[str, Any]:
    """{"suggestion", "lowest", "sentence"} from what `range_test` saw.

    The first two are None where the loss exploded at once, where it fell by no more than chance would have it, and
    where it fell to the end, so that nobody knows where it would have begun to rise.

    Args:
        rates, losses: of each step; all losses are finite.
        exploded: whether the test ended there because the next loss was no number, or far too high.
    """
    nothing = {"suggestion": None, "lowest": None}
    if len(losses) <= 2 * SETTLED:
        return {**nothing, "sentence": "the loss exploded at once: begin with a smaller --low"}
    values = np.asarray(smooth(losses))
    start, least = float(np.mean(losses[: max(SETTLED, len(losses) // 10)])), values[SETTLED:].min()
    if start - least < max(LEAST_FALL * start, LEAST_NOISES * _scatter(losses)):
        words = (
            f"the loss fell by no more than it scatters from step to step, at any rate from {rates[0]:.2g} to "
            f"{rates[-1]:.2g}: take more --steps or a larger --batch-size, or see crossfade check for the likely cause"
        )
        return {**nothing, "sentence": words}
    # The first place that is nearly lowest: where pictures are learned within the test, the loss stays down for long.
    lowest = SETTLED + int(np.argmax(values[SETTLED:] <= least + NEARLY * (start - least)))
    if not exploded and lowest >= len(values) - SETTLED:
        return {**nothing, "sentence": f"the loss still falls at {rates[-1]:.2g}, the last rate: pass a larger --high"}
    suggestion = float(f"{rates[lowest] / 10:.2g}")
    words = f"try {suggestion:g}: the loss falls until the rate is {rates[lowest]:.2g}, and a tenth of that is safe"
    return {"suggestion": suggestion, "lowest": rates[lowest], "sentence": words}


def _scatter(losses: Sequence[float]) -> float:
    """The standard deviation of a loss about its trend, from the median step up or down, which an explosion leaves be.

    Two independent normal losses differ by N(0, 2 s^2), whose median size is 0.6745 sqrt(2) s.
    """
    return float(np.median(np.abs(np.diff(losses)))) / (0.6745 * math.sqrt(2))


# ------------------------------------------------------------------------------------------------ the schedule

STEPS_DRAWN = 200  # an epoch, whatever the pictures are: a schedule is a function of epochs but for their rounding


def draw_schedule(config: RunConfig, folder: Path) -> dict[str, Any]:
    """The learning rate over the epochs of a configuration; nothing is trained and no picture is looked at.

    Returns:
        What is also in `lr.json`.
    """
    factor = schedule_to_draw(config, STEPS_DRAWN)
    base = config.lr or DEFAULT_LR[config.optimizer]
    rates = [base * factor(step) for step in range(config.epochs * STEPS_DRAWN)]
    result = {
        "kind": "schedule",
        "schedule": config.schedule,
        "epochs": config.epochs,
        "steps_per_epoch": STEPS_DRAWN,
        "rates": rates,
        "sentence": describe_schedule(config, base),
    }
    write_toml(folder / "config.toml", config.as_dict())
    record.write_json(folder / "environment.json", record.environment(config.device, config.precision))
    record.write_json(folder / "lr.json", result)
    return result


def describe_schedule(config: RunConfig, base: float) -> str:
    """One sentence: how the rate changes."""
    how = {
        "constant": f"stays at {base:g}",
        "cosine": f"falls from {base:g} to almost 0 along half a cosine",
        "step": f"begins at {base:g} and is multiplied by {config.gamma:g} after every {_epochs(config.every)}",
        "onecycle": f"rises to {base:g} in a straight line and falls to almost 0 in another",
        "plateau": f"begins at {base:g} and is multiplied by {config.gamma:g} when validation has not improved for "
        f"{_epochs(config.plateau)}; drawn is what happens if it never does",
    }[config.schedule]
    warm = f", after a warm-up of {_epochs(config.warmup)}" if config.warmup and config.schedule != "onecycle" else ""
    return f"{config.schedule}: over {_epochs(config.epochs)} the learning rate {how}{warm}"


def _epochs(n: float) -> str:
    return f"{n:g} epoch{'' if n == 1 else 's'}"
