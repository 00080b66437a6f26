"""Where a training stands, beside its tensors: all of it numbers and words, so that a checkpoint's JSON holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossfade.errors import CheckpointError
from crossfade.training.record import LambdaHistogram
from crossfade.training.running import RunningMean


@dataclass
class Progress:
    """What a training remembers from step to step and from epoch to epoch; what it makes of it is the `Keeper`'s.

    Attributes:
        initial_weights: digest of the weights before the first step.
        epochs_done: whole epochs, validated.
        steps_into_next: steps of the epoch under way; all of them while it is being validated.
        history: the lines of `metrics.jsonl`, one for each epoch done.
        loss, accuracy: means over the epoch under way.
        lambdas: of all batches so far.
        seconds: spent training, before this process took it up.
        epoch_seconds: of those, in the epoch under way.
    """

    initial_weights: str = ""
    epochs_done: int = 0
    steps_into_next: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    loss: RunningMean = field(default_factory=RunningMean)
    accuracy: RunningMean = field(default_factory=RunningMean)
    lambdas: LambdaHistogram = field(default_factory=LambdaHistogram)
    seconds: float = 0.0
    epoch_seconds: float = 0.0

    @property
    def place(self) -> tuple[int, int]:
        """(epochs done, steps into the next)."""
        return self.epochs_done, self.steps_into_next

    def end_epoch(self, line: dict[str, Any]) -> None:
        """The epoch under way is done, with this line of `metrics.jsonl`."""
        self.history.append(line)
        self.epochs_done, self.steps_into_next, self.epoch_seconds = self.epochs_done + 1, 0, 0.0
        self.loss, self.accuracy = RunningMean(), RunningMean()

    def state(self) -> dict[str, Any]:
        """For a checkpoint's JSON."""
        means = {"loss": self.loss.state(), "accuracy": self.accuracy.state()}
        return {**vars(self), **means, "lambdas": self.lambdas.as_dict()}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Progress:
        """The way back from `state`; other keys may be there.

        Raises:
            CheckpointError: a key is missing.
        """
        try:
            known = {name: state[name] for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise CheckpointError(
                f"resume: the checkpoint must say where the training stood. Got none of {error}: it was written by "
                "another version of crossfade. Use that version, or train again."
            ) from None
        means = {name: RunningMean.restored(known[name]) for name in ("loss", "accuracy")}
        return cls(**{**known, **means, "lambdas": LambdaHistogram.restored(known["lambdas"])})
