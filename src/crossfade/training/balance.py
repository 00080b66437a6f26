"""Losses in which small classes count as much as large ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from crossfade.data.classes import class_weights
from crossfade.training.config import RunConfig
from crossfade.training.dataset import Pictures

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(config: RunConfig, pictures: Pictures, device: torch.device) -> Loss:
    """(logits (B, C), labels (B,)) -> (B,) losses, as `crossfade.arrays.dispatch.mixed_loss` takes.

        l(x, y) = cross entropy with smoothed labels
        l(x, y) = w_y * cross entropy with smoothed labels,  w_c = N / (C n_c)         (balance = "loss")

    n_c counts the training pictures, so that the mean of w over them is 1 and the learning rate keeps its meaning.
    Mixed, a sample's loss is sum_k weight_k w_{y_k} l(x, y_k): every layer is weighed by its own class.
    """
    loss: Loss = partial(F.cross_entropy, reduction="none", label_smoothing=config.label_smoothing)
    if config.balance != "loss":
        return loss
    labels = pictures.index.labels[pictures.split.train]
    weights = torch.from_numpy(class_weights(labels, len(pictures.classes))).to(device, torch.float32)
    return lambda logits, truth: weights[truth] * loss(logits, truth)
