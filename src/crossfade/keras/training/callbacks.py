"""What listens to `model.fit`: the ROC AUC of each epoch, the losses of each batch, a rate that is halved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from crossfade.errors import ConfigError, DataError
from crossfade.keras.training.held_out import BATCH, HeldOut

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RocAuc(keras.callbacks.Callback):
    """The ROC AUC of held-out pictures after each epoch, written into the logs as `val_auc`.

    Of two classes, of class 1; of more, the mean over one class against the rest (see `crossfade.training.metrics`).
    It is exact, and ties count half; of C sigmoids, each row is divided by its sum first. Put it before the callbacks
    that read it:

        callbacks=[RocAuc(held_out), ModelCheckpoint("best.keras", monitor="val_auc", mode="max", save_best_only=True)]

    `keras.metrics.AUC(name="auc")` serves where a sum over 200 thresholds is near enough: compiled into the model it
    takes no pass of its own over the held-out pictures. For more than two classes it needs `multi_label=True,
    num_labels=C`; as it stands it pools all classes into one ranking, which is another number.

    Args:
        validation_data: as `crossfade.keras.training.held_out.HeldOut` takes it: a data set, (x, y), or batches.
        name: under which it is written.
        probabilities: what the outputs are, "softmax", "sigmoid", "logits" or "sigmoid_logits"; asked of the last
            layer and the loss if not said.
        batch_size: in which arrays are read.

    Attributes:
        values: one for each epoch, nan where the model's outputs are not finite.

    Raises:
        DataError: the data mixes; at the first epoch: all its pictures are of one class.
        ConfigError: nothing says what the outputs are.
    """

    def __init__(
        self,
        validation_data: Any,
        *,
        name: str = "val_auc",
        probabilities: str | None = None,
        batch_size: int = BATCH,
    ) -> None:
        super().__init__()
        self.name = name
        self.values: list[float] = []
        self._probabilities = probabilities
        self._held_out = HeldOut("RocAuc", validation_data, batch_size)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take it, and write it down."""
        named = self._held_out.named_by(self.model, self._probabilities)
        if len(np.unique(named.labels)) < 2:
            raise DataError(
                f"RocAuc: an AUC needs pictures of two classes. Got {len(named.labels)} of class {named.labels[0]} "
                "alone. Hold out pictures of every class."
            )
        self.values.append(named.scores()["auc"])
        if logs is not None:
            logs[self.name] = self.values[-1]


class LossHistory(keras.callbacks.Callback):
    """The training loss of each batch, the losses of each epoch, and its learning rate.

    Keras logs the mean loss of the epoch so far, which hides how much batches differ. Of batches of one size that is
    undone:

        loss_b = b mean_b - (b - 1) mean_{b-1}

    A last, smaller batch is drawn towards that mean by as much as it is smaller. Where `steps_per_execution` takes
    several batches at once, the loss is their mean.

    Attributes:
        losses: of each batch, over all epochs.
        epochs: {"loss", "val_loss" where there is one, "rate"} of each epoch, the rate as it was at its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.epochs: list[dict[str, float]] = []
        self._places: list[float] = []  # in epochs from the start on, of each loss
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._mean, self._batches, self._first = 0.0, 0, len(self.losses)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keras begins its mean anew."""
        self._begin_epoch()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Undo the mean."""
        before, mean = self._batches, float((logs or {}).get("loss", np.nan))
        done = before + self.model.steps_per_execution  # what `batch` counts is another thing in older versions
        self.losses.append((done * mean - before * self._mean) / (done - before))
        self._mean, self._batches = mean, done

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the losses of the epoch, and its rate."""
        found = {name: float(logs[name]) for name in ("loss", "val_loss") if logs and name in logs}
        steps = len(self.losses) - self._first
        self._places += [len(self.epochs) + (step + 1) / steps for step in range(steps)]
        self.epochs.append({**found, "rate": rate_of(self.model.optimizer)})

    @property
    def rates(self) -> list[float]:
        """The learning rate at the end of each epoch."""
        return [epoch["rate"] for epoch in self.epochs]

    def figure(self, title: str = "Loss, batch by batch") -> Figure:
        """The loss of each batch, and those of training and validation at the end of each epoch."""
        from crossfade.report.lines import Line, lines_figure
        from crossfade.report.style import PALETTE, RULE

        lines = [Line("", self._places, self.losses[: len(self._places)], RULE)]
        for name, words, color in (("loss", "training", PALETTE[1]), ("val_loss", "validation", PALETTE[2])):
            values = [epoch.get(name, np.nan) for epoch in self.epochs]
            if np.isfinite(values).any():
                lines.append(Line(words, list(range(1, len(values) + 1)), values, color, marker="o"))
        return lines_figure(lines, title=title, xlabel="epoch", ylim=(0, None))

    @staticmethod
    def side_by_side(histories: Mapping[str, LossHistory], title: str = "Training loss, batch by batch") -> Figure:
        """The training losses of several trainings in one figure, such as of three learning rates.

        Args:
            histories: by the name that is written at the end of each line.
        """
        from crossfade.report.figures import arm_color, arm_dash
        from crossfade.report.lines import Line, lines_figure, of_steps

        lines = [
            Line(name, *of_steps(history.losses), color=arm_color(i + 1), dash=arm_dash(i))
            for i, (name, history) in enumerate(histories.items())
        ]
        first = max((one.y[0] for one in lines if len(one.y) and np.isfinite(one.y[0])), default=1.0)
        return lines_figure(lines, title=title, xlabel="batch", ylim=(0, 1.25 * first))


class HalveEvery(keras.callbacks.Callback):
    """Multiply the learning rate by a half, or another factor, after every so many epochs.

        rate(epoch) = base factor^floor(epoch / epochs),   epoch = 0, 1, ...

    A function of the epoch alone: a training that goes on with `initial_epoch` has the rate that it would have had. The
    rate goes into the logs as `learning_rate`.

    Args:
        epochs: between two steps.
        base: the rate of the first epochs.
        factor: of each step.

    Attributes:
        rates: of each epoch that was begun.

    Raises:
        ConfigError: a value that makes no decay; an optimizer whose rate is a schedule already.
    """

    def __init__(self, epochs: int, base: float, factor: float = 0.5) -> None:
        super().__init__()
        for name, value, held, rule in (
            ("epochs", epochs, isinstance(epochs, int) and epochs >= 1, "a whole number from 1 on"),
            ("base", base, 0 < base < np.inf, "a finite number above 0"),
            ("factor", factor, 0 < factor <= 1, "above 0, at most 1"),
        ):
            if not held:
                raise ConfigError(f"HalveEvery: {name} must be {rule}. Got {value!r}.")
        self.epochs, self.base, self.factor = epochs, base, factor
        self.rates: list[float] = []

    def rate(self, epoch: int) -> float:
        """Of an epoch, counted from 0 on."""
        return self.base * self.factor ** (epoch // self.epochs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Set the rate of this epoch."""
        try:
            self.model.optimizer.learning_rate = self.rate(epoch)
        except TypeError as error:
            raise ConfigError(
                "HalveEvery: sets the learning rate itself. Got an optimizer whose rate is a schedule. "
                "Compile the model with a number."
            ) from error
        self.rates.append(self.rate(epoch))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record it beside the losses."""
        if logs is not None:
            logs["learning_rate"] = self.rate(epoch)

    def figure(self, title: str = "Learning rate") -> Figure:
        """The rate of each epoch."""
        from crossfade.report.figures import Curve
        from crossfade.report.panels import schedule_figure

        return schedule_figure([Curve("", np.array([self.rates]))], title=title)

    def get_config(self) -> dict[str, Any]:
        """Its arguments: `HalveEvery(**config)` is the same decay."""
        return {"epochs": self.epochs, "base": self.base, "factor": self.factor}


def rate_of(optimizer: Any) -> float:
    """The learning rate now, without the digits that float32 has not."""
    return float(str(np.float32(keras.ops.convert_to_numpy(optimizer.learning_rate))))
