"""The PyTorch door: mixing inside a `DataLoader`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from crossfade.arrays.dispatch import mix_images, mix_targets
from crossfade.errors import ConfigError, MissingExtra
from crossfade.mixing.policy import Policy
from crossfade.rng import Stream, derive_rng

try:
    import torch
    from torch.utils.data import default_collate, get_worker_info
except ModuleNotFoundError as error:
    raise MissingExtra("crossfade.torch: needs PyTorch. Run: pip install 'crossfade[torch]'.") from error

__all__ = ["Collate"]

_UNKNOWN = -1


class Collate:
    """A DataLoader's ``collate_fn`` that stacks samples and mixes the batch.

    The plan of a batch is a function of (seed, epoch, step, rank). The step is found from the worker's number, since
    a DataLoader deals batches to its workers in turn, so batches are the same for any number of workers.

        collate = Collate(cf.CutMix(), num_classes=10, seed=0)
        loader = DataLoader(data, batch_size=32, shuffle=True, collate_fn=collate, num_workers=2)
        for epoch in range(epochs):
            collate.set_epoch(epoch)                # before the loop over the loader, as for a DistributedSampler
            for images, targets in loader: ...

    An epoch that was not announced has plans of its own, too, but then they depend on PyTorch's seed and on the
    number of workers. So do those of the epoch after a loop that was left early, if workers are persistent: what
    they had begun ahead of time counts to the next.

    Args:
        policy: what to mix.
        num_classes: C of the targets.
        seed: of the plans.
        rank: of this process; None reads torch.distributed, else the environment variable RANK, else 0.
        collate: stacks the samples into (images (B, C, H, W), labels); PyTorch's own by default.

    Returns:
        On call: images like those stacked, targets (B, num_classes) float32.
    """

    def __init__(
        self,
        policy: Policy,
        num_classes: int,
        seed: int,
        *,
        rank: int | None = None,
        collate: Callable[[Sequence[Any]], Any] = default_collate,
    ) -> None:
        if not isinstance(policy, Policy):
            raise ConfigError(f"Collate: needs a policy, such as crossfade.MixUp(). Got {policy!r}.")
        derive_rng(seed)
        if not _is_whole(num_classes) or num_classes < 1:
            raise ConfigError(f"Collate: num_classes must be a whole number from 1 on. Got {num_classes!r}.")
        self.policy, self.num_classes, self.seed = policy, int(num_classes), seed
        self.rank = _rank() if rank is None else rank
        self.collate = collate
        # Shared memory, because persistent workers hold a copy of this object that no attribute would reach:
        # the epoch that was announced, how many announcements there were, and whose workers it was meant for.
        self._announced = torch.tensor([_UNKNOWN, 0, _UNKNOWN]).share_memory_()
        self._generation, self._calls = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; reaches the workers, persistent ones too."""
        if not _is_whole(epoch) or epoch < 0:
            raise ConfigError(f"Collate.set_epoch: epochs are whole numbers from 0 on. Got {epoch!r}.")
        generation = int(self._announced[1]) + 1
        self._announced.copy_(torch.tensor([epoch, generation, _UNKNOWN]))

    def __call__(self, samples: Sequence[Any]) -> tuple[Any, Any]:
        """Stack samples and mix them."""
        images, labels = self.collate(samples)
        batch, _, height, width = images.shape
        rng = derive_rng(self.seed, Stream.COLLATE, *self._place(), self.rank)
        plan = self.policy.plan((batch, height, width), rng=rng, labels=labels.numpy())
        return mix_images(images, plan, layout="NCHW"), mix_targets(labels, plan, num_classes=self.num_classes)

    def _place(self) -> tuple[int, ...]:
        """Where this batch stands: (0, epoch, 0, step) if announced, else (1, two halves of PyTorch's seed, step)."""
        epoch, generation, meant_for = self._announced.tolist()
        if generation != self._generation:
            self._generation, self._calls = generation, 0
        worker = get_worker_info()
        step = self._calls if worker is None else self._calls * worker.num_workers + worker.id
        self._calls += 1
        drawn = 0 if worker is None else worker.seed - worker.id
        if epoch != _UNKNOWN and meant_for == _UNKNOWN and worker is not None:
            self._announced[2] = meant_for = drawn
        if epoch != _UNKNOWN and (worker is None or meant_for == drawn):
            return 0, epoch, 0, step
        return 1, drawn >> 32, drawn & 0xFFFFFFFF, step


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _rank() -> int:
    distributed = import_module("torch.distributed")
    if distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return int(os.environ.get("RANK", "0"))
