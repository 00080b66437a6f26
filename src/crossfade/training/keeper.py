"""What validation decides, epoch by epoch: which one was best, whether to stop, when to lower the rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.errors import ConfigError
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures
from crossfade.training.metrics import METRICS, Metric, defined


def chosen_metric(config: RunConfig, pictures: Pictures) -> Metric:
    """`config.metric`; where it is not said, the ROC AUC for two classes, else the accuracy.

    An AUC needs pictures of two classes in the parts it is taken of: where nobody asked for it, accuracy stands in.

    Raises:
        ConfigError: the metric that was asked for is not defined on these pictures.
    """
    labels = {part: pictures.index.labels[pictures.split.part(part)] for part in sorted({pictures.judged, "val"})}
    return metric_of(config.metric, len(pictures.classes), labels)


def metric_of(name: str | None, classes: int, labels: Mapping[str, NDArray[np.int64]]) -> Metric:
    """As `chosen_metric`, of so many classes and the labels of each part that is judged on."""
    lacking = [part for part, numbers in labels.items() if len(np.unique(numbers)) < 2]
    if name == "auc" and lacking:
        raise ConfigError(
            f"metric: auc needs pictures of two classes or more in each part it judges. Got one class in {lacking[0]}. "
            "Choose another metric, or split otherwise."
        )
    if name is not None and name not in defined(classes):
        raise ConfigError(f"metric: {name} says nothing of {classes} classes. Choose {', '.join(defined(classes))}.")
    return METRICS[name or ("auc" if classes == 2 and not lacking else "accuracy")]


def chosen_on_validation(epoch: str, patience: int | None, schedule: str | None) -> str:
    """What validation pictures chose in a training, in words; "" for nothing.

    Args:
        epoch: whose weights are judged, "best" or "last".
        patience, schedule: of its configuration.
    """
    chosen = {
        "the best epoch": epoch == "best",
        "when to stop": patience is not None,
        "when to lower the learning rate": schedule == "plateau",
    }
    return " and ".join(what for what, so in chosen.items() if so)


def flattery(judged: Mapping[str, Any], patience: int | None, schedule: str | None) -> str:
    """What is to be said of scores on pictures that chose something themselves; "" where they did not.

    Args:
        judged: with "part" and "epoch", as the summaries of trainings and comparisons have them.
        patience, schedule: of the configuration.
    """
    chosen = chosen_on_validation(str(judged.get("epoch")), patience, schedule)
    if judged.get("part") != "val" or not chosen:
        return ""
    return f"the validation pictures chose {chosen}, which flatters what is measured on them"


class Keeper:
    """Follows a metric over the epochs of one training.

    An epoch improves where its metric on validation is better than that of every epoch before it; of equal ones the
    earlier is kept. After `patience` epochs without improvement the training stops; under the schedule "plateau" each
    further `plateau` epochs without improvement multiply the learning rate by `gamma`.

    Args:
        config: its schedule, gamma, plateau and patience.
        metric: what is followed.

    Attributes:
        factor: what the learning rate is to be multiplied by.

    Source:
        Prechelt 1998, Early stopping, but when?; He et al. 2015, arXiv:1512.03385, section 3.4 (the rate is divided
        when the error plateaus).
    """

    def __init__(self, config: RunConfig, metric: Metric) -> None:
        self.metric = metric
        self.factor = 1.0
        self._patience = config.patience
        self._wait = config.plateau if config.schedule == "plateau" else None
        self._gamma, self._epochs = config.gamma, config.epochs
        self._best: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._waited = 0  # epochs without improvement since the rate was last lowered

    def see(self, epoch: int, val: Mapping[str, float]) -> bool:
        """Take in the scores on validation after `epoch` (from 1 on); whether it is the best so far."""
        name = self.metric.name
        best = not self._best or self.metric.improves(val[name], on=self._best["val"][name])
        self._last = {"epoch": epoch, "val": dict(val)}
        if best:
            self._best, self._waited = self._last, 0
            return True
        self._waited += 1
        if self._waited == self._wait:
            self.factor, self._waited = self.factor * self._gamma, 0
        return False

    @property
    def best_epoch(self) -> int:
        """The best so far, from 1 on."""
        return int(self._best["epoch"])

    @property
    def stops(self) -> bool:
        """Whether nothing improved for so long that the training is to end here."""
        return self._patience is not None and self._flat >= self._patience

    @property
    def _flat(self) -> int:
        return self._last["epoch"] - self._best["epoch"] if self._best else 0

    def summary(self) -> dict[str, Any]:
        """{"best_epoch", "val": scores of the best epoch, "last": of the last, "stopped_early": epoch, if it was}."""
        epoch = self._last["epoch"]
        early = {"stopped_early": epoch} if self.stops and epoch < self._epochs else {}
        return {"best_epoch": self.best_epoch, "val": self._best["val"], "last": self._last["val"], **early}

    def state(self) -> dict[str, Any]:
        """All it remembers, as JSON can hold it."""
        return {"best": self._best, "last": self._last, "factor": self.factor, "waited": self._waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._best, self._last = dict(state["best"]), dict(state["last"])
        self.factor, self._waited = float(state["factor"]), int(state["waited"])
