"""What the layer `Mix` does on the host: it draws plans, each another one, and mixes labels by them."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import current_process
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.dispatch import mix_targets
from crossfade.errors import ConfigError, LabelError, PlanError
from crossfade.mixing.choice import members
from crossfade.mixing.pairs import across
from crossfade.mixing.plan import Plan, Shape
from crossfade.mixing.policy import Policy, depends_on_progress
from crossfade.rng import Stream, derive_rng

_counting = threading.Lock()  # of all layers: one that each had could be neither copied nor pickled


@dataclass
class Draws:
    """A stream of plans: the n-th of a process is a function of (seed, n, rank, worker).

    Args:
        policy: draws each.
        num_classes: C of the targets; None takes dense labels only; 1 is a single column of 0 and 1.
        seed: of the stream.
        smoothing: of the targets.
        count: how many plans were drawn.
        progress: the fraction of the training that is done; policies that end ask for it.
    """

    policy: Policy
    num_classes: int | None
    seed: int
    smoothing: float
    count: int = 0
    progress: float | None = None

    def draw(
        self, labels: NDArray[Any], shape: Shape, *, images: Any = None, paired: bool = False
    ) -> tuple[Plan, NDArray[np.float32]]:
        """The next plan, and the targets that come of it.

        Args:
            labels: (B,) or (B, C); of both streams, (2B,) or (2B, C), if `paired`.
            shape: (B, H, W).
            images: for policies that look at them.
            paired: mix sample i with sample B + i.
        """
        labels = self.readable(labels, shape[0] * (2 if paired else 1))
        with _counting:
            number, self.count = self.count, self.count + 1
        rng = derive_rng(self.seed, Stream.LAYER, number, rank(), *worker())
        plan = self._policy().plan(shape, rng=rng, labels=labels[: shape[0]], images=images)
        plan = across(plan) if paired else plan
        return plan, self._targets(labels, plan, self.smoothing)[: shape[0]]

    def unmixed(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """(B, C) targets of labels as they are."""
        labels = self.readable(labels, len(labels))
        return self._targets(labels, Plan.identity((len(labels), 1, 1)), 0.0)

    def readable(self, labels: NDArray[Any], batch: int) -> NDArray[Any]:
        """Labels as `mix_targets` reads them: a column of class numbers lies flat, 0 and 1 in a column stand up.

        Raises:
            LabelError: another number of them, or a column that can be read in two ways.
        """
        if labels.ndim not in (1, 2) or len(labels) != batch:
            raise LabelError(f"Mix: needs a label for each of {batch} pictures, (B,) or (B, C). Got {labels.shape}.")
        if self.num_classes == 1:
            return _one_column(labels)
        if labels.shape[1:] not in ((), (1,)):
            return labels
        if self.num_classes is not None:
            return _class_numbers(labels.reshape(len(labels)), self.num_classes)
        if labels.ndim == 2 and labels.dtype.kind in "iu":
            raise LabelError(
                f"Mix: whole numbers in a column {labels.shape} can be read in two ways. Pass num_classes=10, say, "
                "if they are class numbers, and num_classes=1 if they are 0 and 1 for a sigmoid."
            )
        return labels

    def classes(self, shape: Sequence[int]) -> int:
        """C of the targets made of labels of `shape`, before any label is known."""
        if self.num_classes is not None:
            return self.num_classes
        if len(shape) == 2:
            return shape[1]
        raise LabelError(f"Mix: class numbers {tuple(shape)} need num_classes. Pass num_classes=10, say.")

    def outline(self, shape: Shape) -> tuple[int, bool]:
        """The most layers a plan can have, and whether one can have a mask: what compiled code must know before."""
        simple = [member for member in members(self.policy) if len(list(members(member))) == 1]
        plans = [member.plan(shape, rng=0, labels=np.zeros(shape[0], np.int64)) for member in simple]
        return max(plan.layers for plan in plans), any(plan.mask is not None for plan in plans)

    def arrays(
        self, labels: NDArray[Any], shape: Shape, outline: tuple[int, bool], *, paired: bool = False
    ) -> tuple[NDArray[Any], ...]:
        """The next plan as arrays of shapes known before, its targets first: targets, source, opacity, box[, mask]."""
        layers, masked = outline
        plan, targets = self.draw(labels, shape, paired=paired)
        if plan.layers > layers or (plan.mask is not None and not masked):
            raise PlanError(f"Mix: compiled for plans of at most {layers} layers. Got {plan!r}.")
        plan = plan.padded(layers)
        mask = (np.ones(plan.shape, np.float32) if plan.mask is None else plan.mask,) if masked else ()
        return (targets, plan.source.astype(np.int32), plan.opacity, plan.box, *mask)

    def _targets(self, labels: NDArray[Any], plan: Plan, smoothing: float) -> NDArray[np.float32]:
        if smoothing and labels.shape[1:] == (1,):
            raise LabelError(
                f"Mix: smoothing spreads over classes, and one column {labels.shape} has none to spread over. "
                "Leave it out, and pass label_smoothing= to keras.losses.BinaryCrossentropy."
            )
        targets: NDArray[np.float32] = mix_targets(labels, plan, num_classes=self.num_classes, smoothing=smoothing)
        return targets

    def _policy(self) -> Policy:
        if self.progress is not None:
            return self.policy.at(self.progress)
        if depends_on_progress(self.policy):
            raise ConfigError(
                f"Mix: {self.policy!r} changes as the training goes on, and a layer does not see how far it is. "
                "Set mix.progress to epoch / epochs as every epoch begins, by a keras.callbacks.LambdaCallback, say."
            )
        return self.policy


def rank() -> int:
    """The number of this process among those that train together, as a framework tells it."""
    torch, jax = sys.modules.get("torch.distributed"), sys.modules.get("jax")
    if torch is not None and torch.is_available() and torch.is_initialized():
        return int(torch.get_rank())
    if jax is not None and jax.distributed.is_initialized():
        return int(jax.process_index())
    cluster = os.environ.get("TF_CONFIG")
    index = json.loads(cluster).get("task", {}).get("index", 0) if cluster else 0
    return int(index) or int(os.environ.get("RANK", "0"))


def worker() -> tuple[int, ...]:
    """The number of this process among those its parent ever started, such as the workers of a PyTorch DataLoader.

    Each has a copy of the layer, with the count that it had then: without a number, they would draw the same plans.
    """
    return tuple(current_process()._identity)  # repeatable, as process ids are not


def _class_numbers(labels: NDArray[Any], num_classes: int) -> NDArray[Any]:
    """(B,) whole numbers, also of floating ones, into which Keras' own layers cast the labels that pass through."""
    if labels.dtype.kind in "iu":
        return labels
    names = np.arange(num_classes)
    if (names.astype(labels.dtype).astype(np.int64) != names).any():
        raise LabelError(
            f"Mix: {labels.dtype} cannot tell {num_classes} class numbers apart. Got such labels. Map the labels by "
            "themselves, or pass dense ones, where layers before this one cast what passes through."
        )
    numbers = labels.astype(np.int64)
    if (numbers != labels).any():
        raise LabelError(f"Mix: labels {labels.shape} must be class numbers. Got {labels[numbers != labels][:3]}.")
    return numbers


def _one_column(labels: NDArray[Any]) -> NDArray[Any]:
    column = labels.reshape(len(labels), -1)
    if column.shape[1] != 1 or column.dtype.kind not in "biuf" or not ((column >= 0) & (column <= 1)).all():
        raise LabelError(
            f"Mix: num_classes=1 takes one number from 0 to 1 for each picture. Got {labels.dtype} {labels.shape}."
        )
    return column
