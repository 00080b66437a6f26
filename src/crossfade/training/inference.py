"""Running a network over pictures as they are: not mixed, not augmented, nothing learned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossfade.data.loader import Gather, Loader
from crossfade.data.rows import Rows
from crossfade.training.device_feed import DeviceFeed
from crossfade.training.feed import Ready

BATCH = 500  # pictures of 64 pixels a side or less; fewer of larger ones


def at_most(pictures: int, side: int, pixels: Rows) -> int:
    """So many of `pixels` (N, H, W, C) as take the memory of `pictures` of `side` x `side`, but no more than these."""
    return max(1, min(pictures, pictures * side**2 // (pixels.shape[1] * pixels.shape[2])))


def plain_loader(
    pixels: Rows,
    labels: NDArray,
    numbers: NDArray,
    feed: DeviceFeed,
    *,
    threads: int = 1,
    gather: Gather | None = None,
    batch: int = BATCH,
) -> Loader[Ready]:
    """The pictures `numbers`, once and in their order, in batches that take no more memory for being large pictures.

    Args:
        pixels: (N, H, W, C) uint8, what a `Cache` holds.
        labels: (N,) ints.
        numbers: (n,) ints, which to yield.
        feed: of pictures as they are.
        gather: see `Loader`.
        batch: pictures in a batch, where they are small.
    """
    size, prepare = at_most(batch, 64, pixels), feed.prepare
    return Loader(
        pixels, labels, numbers, batch_size=size, seed=0, shuffle=False, gather=gather, prepare=prepare, threads=threads
    )


def forward(model: nn.Module, images: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """(B, C) float32 logits, whatever precision the network computes in.

    Args:
        images: (B, C, H, W) float32, on the network's device.
        precision: torch.bfloat16 for autocast.
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == torch.bfloat16):
        logits = model(images)
    return logits.float()


def logits_of(
    model: nn.Module,
    loader: Loader[Ready],
    feed: DeviceFeed,
    precision: torch.dtype = torch.float32,
    on_batch: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """The logits (N, C) float32 and labels (N,) int64 of all pictures of a loader, in its order, on the device.

    `on_batch` is called after each batch, and may raise to leave.
    """
    model.eval()
    logits, labels = [], []
    with torch.inference_mode():
        for ready in loader.epoch(0):
            images, truth = feed.to_device(ready)
            logits.append(forward(model, images, precision))
            labels.append(truth)
            on_batch()
    return torch.cat(logits), torch.cat(labels)
