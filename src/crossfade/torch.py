"""The PyTorch door: mixing inside a `DataLoader`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from crossfade.arrays.dispatch import mix_images, mix_targets
from crossfade.errors import ConfigError, MissingExtra
from crossfade.mixing.plan import Plan
from crossfade.mixing.policy import Policy
from crossfade.rng import Stream, derive_rng

try:
    import torch
    from torch.utils.data import default_collate, get_worker_info
except ModuleNotFoundError as error:
    raise MissingExtra("crossfade.torch: needs PyTorch. Run: pip install 'crossfade[torch]'.") from error

__all__ = ["Collate"]


class Collate:
    """A DataLoader's ``collate_fn`` that stacks samples and mixes the batch.

    The plan of a batch is a function of (seed, epoch, step, rank). The step is found from the worker's number, since
    a DataLoader deals batches to its workers in turn, so batches are the same for any number of workers.

        collate = Collate(cf.CutMix(), num_classes=10, seed=0)
        loader = DataLoader(data, batch_size=32, shuffle=True, collate_fn=collate, num_workers=2)
        for epoch in range(epochs):
            collate.set_epoch(epoch)                # before the loop over the loader, as for a DistributedSampler
            for images, targets in loader: ...

    Without `set_epoch` plans still never repeat, but then they depend on PyTorch's own seed and on the workers.

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
        self.policy, self.num_classes, self.seed = policy, num_classes, seed
        self.rank = _rank() if rank is None else rank
        self.collate = collate
        # Shared memory, because persistent workers hold a copy of this object that no attribute would reach.
        self._epoch = torch.full((1,), -1, dtype=torch.int64).share_memory_()
        self._seen_epoch, self._calls = -1, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; reaches the workers, persistent ones too."""
        if epoch < 0:
            raise ConfigError(f"Collate.set_epoch: epochs count from 0. Got {epoch}.")
        self._epoch[0] = epoch
        self._seen_epoch, self._calls = epoch, 0

    def __call__(self, samples: Sequence[Any]) -> tuple[Any, Any]:
        images, labels = self.collate(samples)
        batch, _, height, width = images.shape
        plan = self._plan((batch, height, width), labels)
        return mix_images(images, plan, layout="NCHW"), mix_targets(labels, plan, num_classes=self.num_classes)

    def _plan(self, shape: tuple[int, int, int], labels: Any) -> Plan:
        epoch = int(self._epoch[0])
        if epoch != self._seen_epoch:
            self._seen_epoch, self._calls = epoch, 0
        worker = get_worker_info()
        step = self._calls if worker is None else self._calls * worker.num_workers + worker.id
        self._calls += 1
        rng = derive_rng(self.seed, Stream.COLLATE, *_epoch_path(epoch, worker), step, self.rank)
        return self.policy.plan(shape, rng=rng, labels=labels.numpy())


def _epoch_path(epoch: int, worker: Any) -> tuple[int, int]:
    """(0, epoch) where it was said; else (1, what PyTorch draws anew for the workers of each epoch)."""
    if epoch >= 0:
        return 0, epoch
    return 1, 0 if worker is None else worker.seed - worker.id


def _rank() -> int:
    distributed = import_module("torch.distributed")
    if distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return int(os.environ.get("RANK", "0"))
