"""A network of our own for small pictures: as accurate as one or two epochs on a CPU can make it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossfade.models.whiten import Whiten

PATCH = 4
KEPT = 32
WIDTHS = (128, 256, 256, 256, 256)
POOLED = (False, True, False, True, False)


def identity_conv(width_in: int, width: int) -> nn.Conv2d:
    """A 3x3 convolution that starts as the identity as far as it can; the rest of its filters is random."""
    conv = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:width_in])
    return conv


def halve(x: Tensor) -> Tensor:
    """2x2 max-pooling, unless nearly nothing is left."""
    return functional.max_pool2d(x, 2) if min(x.shape[2:]) >= 4 else x


class Unit(nn.Module):
    """3x3 convolution, perhaps 2x2 max-pooling, batch norm, GELU."""

    def __init__(self, width_in: int, width: int, *, pool: bool) -> None:
        super().__init__()
        self.pool = pool
        self.conv = identity_conv(width_in, width)
        # Of a training of a few hundred steps the usual momentum of 0.1 would remember too much.
        self.bn = nn.BatchNorm2d(width, momentum=0.3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H, W), H and W halved by the pooling."""
        x = self.conv(x)
        return functional.gelu(self.bn(halve(x) if self.pool else x))


class Fast(nn.Module):
    """A frozen whitening convolution, five 3x3 convolutions, global max-pooling, one dense layer.

    A 32x32 picture becomes 16x16x64, 16x16x128, 8x8x256 twice, 4x4x256 twice, 256: 180 million multiply-adds. The
    convolutions start as the identity as far as they can (the rest of their filters is random), so that signal and
    gradient pass from the first step on; pooling comes before batch norm and GELU, which then cost a quarter; the
    logits are divided by 9, which keeps the loss of the first steps small at a high learning rate.

    Args:
        num_classes: how many logits.
        channels: of the pictures.
        size: not used; pictures of any size from 8 pixels on do.

    Source:
        Ours; the ideas are those of Jordan 2024, arXiv:2404.00498 (identity start, scaled logits, pool first).
    """

    SCALE = 1 / 9

    def __init__(self, *, num_classes: int, channels: int = 3, size: int | None = None) -> None:
        super().__init__()
        # Patches of 4x4 and a stride of 2, unlike Jordan's: they spare the CPU the largest feature maps.
        self.whiten = Whiten(channels, patch=PATCH, stride=2, padding=1, kept=KEPT)
        inputs = (self.whiten.out_channels, *WIDTHS)
        self.units = nn.Sequential(*(Unit(a, b, pool=pool) for a, b, pool in zip(inputs, WIDTHS, POOLED, strict=False)))
        self.head = nn.Linear(WIDTHS[-1], num_classes, bias=False)

    def prepare(self, images: Tensor) -> None:
        """Fit the whitening convolution to training pictures, (n, C, H, W), as the network is shown them."""
        self.whiten.prepare(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) pictures to (B, num_classes) logits."""
        x = self.units(functional.gelu(self.whiten(images)))
        return self.head(x.amax(dim=(2, 3))) * self.SCALE
