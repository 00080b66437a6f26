"""A network of our own for small pictures: as accurate as one or two epochs on a CPU can make it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH = 4
KEPT = 32
WIDTHS = (128, 256, 256, 256, 256)
POOLED = (False, True, False, True, False)


class Whiten(nn.Conv2d):
    """A frozen first convolution whose outputs, over the training pictures' patches, have unit second moments.

    Patches of 4x4 pixels, a stride of 2; v_i, l_i are the eigenvectors and eigenvalues of their second moments:

        filter_i = v_i / sqrt(l_i + epsilon)         for the largest l_i, and -filter_i beside each

    Both signs, since the activation that follows keeps about one half of each. Until `prepare` is called the filters
    are random.

    Source:
        Coates & Ng 2012, Learning feature representations with k-means, section 2.2 (whitened patches); as a frozen
        first layer of fast CIFAR-10 trainings: Page 2019, How to train your ResNet 8; Jordan 2024,
        arXiv:2404.00498. Differs: 4x4 patches and a stride of 2, which spare the CPU the largest feature maps.
    """

    prepared: Tensor

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
        values, vectors = torch.linalg.eigh(_patch_moments(images.detach().cpu()))
        kept = self.out_channels // 2
        values, vectors = values.flip(0)[:kept, None], vectors.flip(1)[:, :kept].T
        # An eigenvector's sign is the linear algebra library's whim; the largest entry is made positive.
        largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
        filters = (vectors * largest.sign() / (values + epsilon).sqrt()).view(kept, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))
        self.prepared.fill_(True)


class Unit(nn.Module):
    """3x3 convolution, perhaps 2x2 max-pooling, batch norm, GELU."""

    def __init__(self, width_in: int, width: int, *, pool: bool) -> None:
        super().__init__()
        self.pool = pool
        self.conv = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        # Of a training of a few hundred steps the usual momentum of 0.1 would remember too much.
        self.bn = nn.BatchNorm2d(width, momentum=0.3)
        with torch.no_grad():
            nn.init.dirac_(self.conv.weight[:width_in])

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H, W), H and W halved by the pooling unless nearly nothing is left."""
        x = self.conv(x)
        if self.pool and min(x.shape[2:]) >= 4:
            x = functional.max_pool2d(x, 2)
        return functional.gelu(self.bn(x))


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
        self.whiten = Whiten(channels)
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


def _patch_moments(images: Tensor) -> Tensor:
    """(D, D) float64 second moments of all patches, D = C * 16; a few pictures at a time."""
    some = max(1, 2**18 // (images.shape[2] * images.shape[3]))
    total, count = 0.0, 0
    for part in images.split(some):
        patches = functional.unfold(part.double(), PATCH, stride=2).transpose(1, 2).flatten(0, 1)
        total = total + patches.T @ patches
        count += len(patches)
    return total / count
