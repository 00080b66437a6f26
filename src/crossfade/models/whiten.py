"""A first convolution that is computed from the training pictures instead of learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Whiten(nn.Conv2d):
    """A frozen first convolution whose outputs, over the training pictures' patches, have unit second moments.

    v_i, l_i are the eigenvectors and eigenvalues of the patches' second moments:

        filter_i = v_i / sqrt(l_i + epsilon)         for the largest l_i, and -filter_i beside each

    Both signs, since the activation that follows keeps about one half of each. Until `prepare` is called the filters
    are random.

    Args:
        channels: C of the pictures.
        patch: side of a patch, and of a filter, in pixels.
        kept: how many eigenvectors at most, of the C * patch^2 there are; None is all.
        epsilon: what no direction is weaker than, squared: noise is not blown up.

    Source:
        Coates & Ng 2012, Learning feature representations with k-means, section 2.2 (whitened patches); as a frozen
        first layer of fast CIFAR-10 trainings: Page 2019, How to train your ResNet 8; Jordan 2024, arXiv:2404.00498.
    """

    prepared: Tensor

    def __init__(
        self,
        channels: int,
        *,
        patch: int,
        stride: int = 1,
        padding: int = 0,
        kept: int | None = None,
        epsilon: float = 1e-2,
    ) -> None:
        there_are = channels * patch**2
        kept = there_are if kept is None else min(kept, there_are)
        super().__init__(channels, 2 * kept, patch, stride=stride, padding=padding, bias=False)
        self.epsilon = epsilon
        self.weight.requires_grad_(False)
        self.register_buffer("prepared", torch.tensor(False))

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Compute the filters from `images`, (n, C, H, W) floating; once: later calls change nothing."""
        if self.prepared:
            return
        values, vectors = torch.linalg.eigh(self._moments(images.detach().cpu()))
        kept = self.out_channels // 2
        values, vectors = values.flip(0)[:kept, None], vectors.flip(1)[:, :kept].T
        # An eigenvector's sign is the linear algebra library's whim; the largest entry is made positive.
        largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
        filters = (vectors * largest.sign() / (values + self.epsilon).sqrt()).view(kept, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))
        self.prepared.fill_(True)

    def _moments(self, images: Tensor) -> Tensor:
        """(D, D) float64 second moments of all patches, D = C * patch^2; a few pictures at a time."""
        some = max(1, 2**18 // (images.shape[2] * images.shape[3]))
        total, count = 0.0, 0
        for part in images.split(some):
            patches = functional.unfold(part.double(), self.kernel_size, stride=self.stride)
            patches = patches.transpose(1, 2).flatten(0, 1)
            total = total + patches.T @ patches
            count += len(patches)
        return total / count
