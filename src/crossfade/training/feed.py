"""From a loaded batch to what the model sees: the one way for training, evaluation and prediction.

Preprocessing, augmentation and plan are made on the host. Then one fused pass augments, mixes and normalises. Where
each picture is normalised by itself, it is normalised first and mixed then: only for pictures with the same
normalisation is the order of the two without meaning.

This module needs no framework; `device_feed` goes on from here to where a network of PyTorch is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossfade.arrays.dispatch import mix_images, render
from crossfade.arrays.numpy import augment_rows
from crossfade.data.loader import Batch, gather_rows
from crossfade.data.rows import Rows
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import Policy
from crossfade.rng import Stream, derive_rng
from crossfade.vision.augment import Augment, Augmentation
from crossfade.vision.normalise import Normalisation, shift_and_scale
from crossfade.vision.preprocess import Preprocess


@dataclass(frozen=True)
class Ready:
    """A batch on its way to the device.

    Attributes:
        pixels: (B, H, W, C); float32 as the model sees it, or still uint8 where the device renders it.
        labels: (B,) int64, of the unmixed pictures.
        plan: how they are mixed.
        augmentation: what is still to be done to each, or None.
        each: what each is normalised by, see `Preprocess.measure_each`, or None.
        ids, epoch, step: of the `Batch`.
    """

    pixels: NDArray[Any]
    labels: NDArray[np.int64]
    plan: Plan
    augmentation: Augmentation | None
    each: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    ids: NDArray[np.int64]
    epoch: int
    step: int


@dataclass(frozen=True)
class Feed:
    """Draws augmentation and plan of each batch, and executes them in the loader's thread.

    The plan is a function of (seed, epoch, step, rank), the augmentation of (seed, epoch, id): arms that share a
    seed see the same pictures, in the same order, equally augmented.

    Args:
        normalisation: of all pictures; where each goes by itself, how they are shown.
        preprocess: what is done to a picture first, and whether each is normalised by itself.
        policy: None for pictures as they are, as in validation.
        epochs: of the whole training; `Policy.at` asks how much of it is done.
    """

    normalisation: Normalisation
    preprocess: Preprocess = field(default_factory=Preprocess)
    policy: Policy | None = None
    augment: Augment | None = None
    seed: int = 0
    epochs: int = 1
    rank: int = 0

    def gather(self, pixels: Rows, ids: NDArray[np.int64], epoch: int) -> NDArray[np.uint8]:
        """The loader's `gather`: pictures are augmented as they are read where they lie in memory, if that is early."""
        drawn = self._draw(ids, epoch, pixels.shape[1:3]) if self._early else None
        if drawn is not None and isinstance(pixels, np.ndarray):
            return augment_rows(pixels, ids, drawn)
        images = gather_rows(pixels, ids, epoch)
        return images if drawn is None else augment_rows(images, np.arange(len(ids)), drawn)

    def prepare(self, batch: Batch) -> Ready:
        """The loader's `prepare`."""
        waiting = None if self._early else self._draw(batch.ids, batch.epoch, batch.images.shape[1:3])
        batch = replace(batch, images=self.preprocess.pictures(batch.images))
        plan, each = self._plan(batch), self.preprocess.measure_each(batch.images)
        ready = Ready(batch.images, batch.labels, plan, waiting, each, batch.ids, batch.epoch, batch.step)
        return replace(ready, pixels=self._render(ready, batch.images)) if self._on_host else ready

    def prepare_alone(self, batch: Batch) -> Ready:
        """`prepare`, of a batch that did not come through `gather`: what is augmented there is augmented here."""
        drawn = self._draw(batch.ids, batch.epoch, batch.images.shape[1:3]) if self._early else None
        if drawn is not None:
            batch = replace(batch, images=augment_rows(batch.images, np.arange(len(batch.ids)), drawn))
        return self.prepare(batch)

    @property
    def _on_host(self) -> bool:
        """Whether all of it is done here, and nothing left to a device."""
        return True

    @property
    def _early(self) -> bool:
        """Whether pictures are augmented on the host, and nothing else comes before it."""
        return self._on_host and self.preprocess.leaves_pictures

    def _draw(self, ids: NDArray[np.int64], epoch: int, size: tuple[int, ...]) -> Augmentation | None:
        """For each picture; where batches hold each twice, the first half stays as it is."""
        drawn = self.augment and self.augment.draw(ids, seed=self.seed, epoch=epoch, size=(size[0], size[1]))
        if drawn is None or not self.augment.append:
            return drawn
        return drawn.only(np.arange(len(ids)) >= len(ids) // 2)

    def _plan(self, batch: Batch) -> Plan:
        shape = batch.images.shape[:3]
        if self.policy is None:
            return Plan.identity(shape)
        rng = derive_rng(self.seed, Stream.PLAN, batch.epoch, batch.step, self.rank)
        policy = self.policy.at(batch.epoch / self.epochs)
        return policy.plan(shape, rng=rng, labels=batch.labels, images=batch.images)

    def _render(self, ready: Ready, pixels: Any) -> Any:
        mean, std = self.normalisation.mean, self.normalisation.std
        if ready.each is None:
            return render(pixels, ready.plan, mean=mean, std=std, layout="NHWC", augment=ready.augmentation)
        unmixed = Plan.identity(ready.plan.shape)
        values = render(pixels, unmixed, mean=0.0, std=1 / 255, layout="NHWC", augment=ready.augmentation)
        low, span = (self._beside(values, one) for one in ready.each)
        return mix_images(shift_and_scale(values, low, span), ready.plan, layout="NHWC")

    def _beside(self, values: Any, array: NDArray[np.float32]) -> Any:
        """The array, in the framework and on the device of `values`."""
        return array
