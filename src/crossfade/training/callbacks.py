"""What others may hear of a training while it runs: bars, trackers, experiments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from crossfade.training.config import RunConfig


@dataclass(frozen=True)
class Step:
    """One step of a training.

    Attributes:
        done: steps done, this one included.
        total: steps of the whole training.
        lr: the learning rate it was taken with.
        loss: its mean loss, still on the device: to ask for its value is to wait for the device.
    """

    done: int
    total: int
    lr: float
    loss: Tensor


class Callback:
    """Hears of a training; does nothing unless a method is overridden. It may look, and must change nothing."""

    def on_start(self, config: RunConfig, folder: Path) -> None:
        """Before the first step; `folder` is the run folder."""

    def on_step(self, step: Step) -> None:
        """After each step."""

    def on_epoch(self, line: Mapping[str, Any]) -> None:
        """After each epoch, with its line of `metrics.jsonl`."""

    def on_error(self, error: BaseException) -> None:
        """Where the training failed, or was stopped (`signals.Interruption`); `on_end` comes after it."""

    def on_end(self, summary: Mapping[str, Any] | None) -> None:
        """At the very end, with the summary; None where the training failed or was stopped."""


class Watch(Callback):
    """A callback made of functions: of (steps done, steps in all), and of each line of `metrics.jsonl`."""

    def __init__(
        self,
        *,
        step: Callable[[int, int], None] | None = None,
        epoch: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._step, self._epoch = step, epoch

    def on_step(self, step: Step) -> None:
        """Tell how far it is."""
        if self._step is not None:
            self._step(step.done, step.total)

    def on_epoch(self, line: Mapping[str, Any]) -> None:
        """Pass the line on."""
        if self._epoch is not None:
            self._epoch(line)
