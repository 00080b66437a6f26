"""The small network of reference system R3: four convolutions, two fully connected layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FULL_GRID = 8


class Cnn4(nn.Module):
    """conv 32, conv 32, pool, conv 64, conv 64, pool, dense 512, dense `num_classes`; ReLU between.

    On 32x32 pictures the dense layer sees an 8x8 grid of 64 features. Larger pictures are averaged onto that
    grid, so that the layer never grows; smaller ones fill a grid of a quarter of their side.

    Args:
        num_classes: how many logits.
        channels: of the pictures.
        size: side in pixels the dense layer is fitted to (the network still takes any other); None: 32 or more.

    Source:
        R3 states the number of layers but not their widths; these are ours.
    """

    def __init__(self, *, num_classes: int, channels: int = 3, size: int | None = None) -> None:
        super().__init__()
        grid = FULL_GRID if size is None else min(FULL_GRID, size // 4)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.hidden = nn.Linear(64 * grid * grid, 512)
        self.head = nn.Linear(512, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) pictures to (B, num_classes) logits."""
        grid = self.pool(self.features(images))
        return self.head(torch.relu(self.hidden(grid.flatten(1))))
