"""Running a network over pictures as they are: not mixed, not augmented, nothing learned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from crossfade.data.loader import Loader
from crossfade.training.feed import Feed, Ready


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
    feed: Feed,
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
