"""From a batch that is ready to tensors on the device, which executes there what the host left to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossfade.training.feed import Feed, Ready
from crossfade.vision.normalise import as_pictures


@dataclass(frozen=True)
class DeviceFeed(Feed):
    """A `Feed` for PyTorch: executes on the host in the loader's thread, or on a GPU.

    Args:
        device: where the network is.
    """

    device: torch.device = field(kw_only=True)

    def to_device(self, ready: Ready) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, C, H, W), float32 and channels-last in memory, and labels (B,), on the device."""
        pixels = torch.from_numpy(ready.pixels).to(self.device, non_blocking=True)
        images = pixels if self._on_host else self._render(ready, pixels)
        return images.permute(0, 3, 1, 2), torch.from_numpy(ready.labels).to(self.device, non_blocking=True)

    def undo(self, images: torch.Tensor) -> NDArray[np.uint8]:
        """(B, H, W, C) uint8: rendered images (B, C, H, W) as pictures again, or as near as `normalisation` comes."""
        return as_pictures(images.permute(0, 2, 3, 1).float().cpu().numpy(), self.normalisation)

    @property
    def _on_host(self) -> bool:
        return self.device.type == "cpu"

    def _beside(self, values: Any, array: NDArray[np.float32]) -> Any:
        return torch.from_numpy(array).to(values.device) if isinstance(values, torch.Tensor) else array
