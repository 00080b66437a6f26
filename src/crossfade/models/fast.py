"""A network of our own for small pictures: as accurate as possible after one or two epochs on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 4
KEPT = 32


class Whiten(nn.Conv2d):
    """A frozen first convolution whose outputs, over the training pictures' patches, have unit covariance.

    Patches of 4x4 pixels, a stride of 2; v_i, l_i are the eigenvectors and eigenvalues of their covariance:

        filter_i = v_i / sqrt(l_i + epsilon)         for the largest l_i, and -filter_i beside each

    Both signs, since the activation that follows keeps one half of each. Training need not find edges and colour
    contrasts by itself, which saves it most of its first epoch. Until `prepare` is called the filters are random.
    """

    def __init__(self, channels: int) -> None:
        kept = min(KEPT, channels * PATCH**2)
        super().__init__(channels, 2 * kept, PATCH, stride=2, padding=1, bias=False)
        self.weight.requires_grad_(False)
        self.register_buffer("prepared", torch.tensor(False))

    @torch.no_grad()
    def prepare(self, images: Tensor, epsilon: float = 1e-2) -> None:
        """Compute the filters from `images`, (n, C, H, W) floating; once: later calls change nothing."""
        if self.prepared:
            return
        values, vectors = torch.linalg.eigh(_patch_covariance(images.detach().cpu()))
        kept = self.out_channels // 2
        values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept].T
        # An eigenvector's sign is the linear algebra library's whim; the largest entry is made positive.
        largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
        filters = (vectors * largest.sign() / (values[:, None] + epsilon).sqrt()).view(kept, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))
        self.prepared.fill_(True)


class Unit(nn.Sequential):
    """3x3 convolution, optional 2x2 max-pooling, batch norm, GELU."""

    def __init__(self, width_in: int, width: int, *, pool: bool = False) -> None:
        super().__init__(
            nn.Conv2d(width_in, width, 3, padding=1, bias=False),
            # Rounding up keeps one pixel where pictures are so small that there is nothing left to halve.
            nn.MaxPool2d(2, ceil_mode=True) if pool else nn.Identity(),
            nn.BatchNorm2d(width, momentum=0.3),
            nn.GELU(),
        )


class Fast(nn.Module):
    """A frozen patch-whitening convolution, three groups of 3x3 convolutions, global max-pooling, a scaled head."""

    def __init__(self, *, num_classes: int, channels: int = 3, size: int | None = None, widths=(128, 256, 256), scale=1/9) -> None:
        super().__init__()
        self.whiten = Whiten(channels)
        a, b, c = widths
        self.blocks = nn.Sequential(
            Unit(self.whiten.out_channels, a),
            Unit(a, b, pool=True),
            Unit(b, b),
            Unit(b, c, pool=True),
            Unit(c, c),
        )
        self.head = nn.Linear(c, num_classes, bias=False)
        self.scale = scale

    def prepare(self, images: Tensor) -> None:
        """Fit the whitening convolution to training pictures, as the network sees them."""
        self.whiten.prepare(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) pictures to (B, num_classes) logits."""
        x = functional.gelu(self.whiten(images))
        return self.head(self.blocks(x).amax(dim=(2, 3))) * self.scale


def _patch_covariance(images: Tensor) -> Tensor:
    """(D, D) float64 second moments of all 4x4 patches, D = C * 16; a few pictures at a time."""
    some = max(1, 2**18 // (images.shape[2] * images.shape[3]))
    total, count = torch.zeros((), dtype=torch.float64), 0
    for part in images.split(some):
        patches = functional.unfold(part.float(), PATCH, stride=2).transpose(1, 2).flatten(0, 1).double()
        total = total + patches.T @ patches
        count += len(patches)
    return total / count
