"""What turns gradients into weights: the optimiser, the schedule of its rate, and the running average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from crossfade.training import schedule
from crossfade.training.config import RunConfig

# Rates at which plain networks train; the decays are those of He et al. 2015 (SGD) and Loshchilov & Hutter 2019.
DEFAULT_LR = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3, "nadam": 1e-3, "radam": 1e-3, "rmsprop": 1e-3, "adagrad": 1e-2}
DEFAULT_WEIGHT_DECAY = {"sgd": 5e-4, "adamw": 0.05}
_ADAPTIVE: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


def build_optimizer(model: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """The optimiser over the trainable parameters; biases and norms (one axis or none) are not decayed.

    Each group remembers its "base_lr", which the schedule multiplies.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    lr = config.lr or DEFAULT_LR[config.optimizer]
    decay = DEFAULT_WEIGHT_DECAY.get(config.optimizer, 0.0) if config.weight_decay is None else config.weight_decay
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": decay, "base_lr": lr},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0, "base_lr": lr},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return _ADAPTIVE[config.optimizer](groups, lr=lr)  # type: ignore[call-arg]


def build_schedule(config: RunConfig, steps_per_epoch: int) -> schedule.Schedule:
    """The factor of the base rate at each step of the training; "plateau" multiplies it by `Keeper.factor`."""
    return schedule.make(
        config.schedule,
        config.epochs * steps_per_epoch,
        warmup=_warmup(config, steps_per_epoch),
        gamma=config.gamma,
        every=max(1, round(config.every * steps_per_epoch)),
    )


def schedule_to_draw(config: RunConfig, steps_per_epoch: int) -> schedule.Schedule:
    """`build_schedule`, and for "plateau" what would happen if validation never improved after the first epoch."""
    if config.schedule != "plateau":
        return build_schedule(config, steps_per_epoch)
    return partial(
        schedule.never_improved,
        total=config.epochs * steps_per_epoch,
        warmup=_warmup(config, steps_per_epoch),
        gamma=config.gamma,
        every=config.plateau * steps_per_epoch,
        first=steps_per_epoch,
    )


def _warmup(config: RunConfig, steps_per_epoch: int) -> int:
    """In steps; one less than the training has where it is all of it."""
    return min(round(config.warmup * steps_per_epoch), config.epochs * steps_per_epoch - 1)


class Ema:
    """A running average of weights and buffers:  avg <- d_t avg + (1 - d_t) weights.

    d_t = min(decay, (1 + t) / (10 + t)): an average that was young for long would still hold the first weights.

    Source:
        The ramp is that of TensorFlow's ExponentialMovingAverage (num_updates).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
            done = float(updates)
            weight = 1 - min(decay, (1 + done) / (10 + done))
            for mean, value in zip(averaged, current, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, weight)
                else:
                    mean.copy_(value)

        self._averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)  # type: ignore[arg-type]

    @property
    def model(self) -> nn.Module:
        """The network that holds the average."""
        return self._averaged.module

    @property
    def updates(self) -> int:
        """How many steps it has taken in."""
        return int(self._averaged.n_averaged)

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go on from an average that was saved after so many updates."""
        self.model.load_state_dict(tensors)
        self._averaged.n_averaged.fill_(updates)

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        with torch.no_grad():
            self._averaged.update_parameters(model)
