"""The networks with which Jordan reached 94, 95 and 96 % on CIFAR-10 in few steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossfade.models.fast import halve, identity_conv
from crossfade.models.whiten import Whiten


class ShiftNorm(nn.BatchNorm2d):
    """Batch norm with a scale of 1, whose shift is 8 times its bias: under SGD it moves 64 times as far."""

    FASTER = 8

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        mean, variance, shift = self.running_mean, self.running_var, self.FASTER * self.bias
        return functional.batch_norm(x, mean, variance, self.weight, shift, self.training, self.momentum, self.eps)


class Group(nn.Module):
    """3x3 convolutions of one width, each with `ShiftNorm` and GELU, and 2x2 max-pooling after the first.

    With three of them, what the first gives is added to what the last gives, before its GELU.
    """

    def __init__(self, width_in: int, width: int, depth: int) -> None:
        super().__init__()
        inputs = (width_in, *[width] * (depth - 1))
        self.convs = nn.ModuleList(identity_conv(one, width) for one in inputs)
        self.norms = nn.ModuleList(ShiftNorm(width) for _ in inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H, W), H and W halved by the pooling."""
        first = x = functional.gelu(self.norms[0](halve(self.convs[0](x))))
        for conv, norm in zip(self.convs[1:-1], self.norms[1:-1], strict=True):
            x = functional.gelu(norm(conv(x)))
        x = self.norms[-1](self.convs[-1](x))
        return functional.gelu(x + first if len(self.convs) > 2 else x)


class Airbench(nn.Module):
    """A frozen whitening convolution, three groups of convolutions, global max-pooling, one dense layer.

    A 32x32 picture becomes 31x31x24, then 15x15, 7x7 and 3x3 of the groups' widths. All trained convolutions start as
    the identity as far as they can, and the logits are divided by 9, as in `Fast`. It is made for SGD with a high rate.

    Args:
        widths: of the three groups.
        depth: convolutions in each group, >= 2; the published ones have 2 or 3.
        num_classes: how many logits.
        channels: of the pictures.
        size: not used; pictures of any size from 8 pixels on do.

    Source:
        Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498, and the programs published with
        it, airbench96 as of June 2024. Differs: the bias after the whitening convolution is trained to the end, and
        like the shifts it is not decayed; batch norm has torch's own epsilon and a momentum of 0.1 throughout.
    """

    SCALE = 1 / 9

    def __init__(
        self, widths: tuple[int, int, int], depth: int, *, num_classes: int, channels: int = 3, size: int | None = None
    ) -> None:
        super().__init__()
        self.whiten = Whiten(channels, patch=2, epsilon=5e-4)
        self.bias = nn.Parameter(torch.zeros(self.whiten.out_channels))
        inputs = (self.whiten.out_channels, *widths)
        self.groups = nn.Sequential(*(Group(a, b, depth) for a, b in zip(inputs, widths, strict=False)))
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def prepare(self, images: Tensor) -> None:
        """Fit the whitening convolution to training pictures, (n, C, H, W), as the network is shown them."""
        self.whiten.prepare(images)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) pictures to (B, num_classes) logits."""
        x = self.whiten(images)
        x = functional.gelu(x + self.bias[:, None, None].to(x.dtype))
        return self.head(self.groups(x).amax(dim=(2, 3))) * self.SCALE
