"""ResNet for small pictures: depth 6n+2, three stages of 16, 32 and 64 filters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut:  y = relu(shortcut(x) + bn(conv(relu(bn(conv(x))))))."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        same = width_in == width and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(width_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, H, W) to (B, width, H/stride, W/stride)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.shortcut(x) + self.bn2(self.conv2(y)))


class CifarResNet(nn.Module):
    """ResNet v1 of `depth` = 6n+2 layers: a 3x3 convolution, three stages of n blocks, average, dense.

    Args:
        depth: 20, 32, 44, 56, ...: 6n+2.
        num_classes: how many logits.
        channels: of the pictures.
        size: not used; pictures of any size from 8 pixels on are averaged at the end.

    Source:
        He et al. 2015, Deep residual learning, arXiv:1512.03385, section 4.2; the program of R2.

        Where the two differ we follow R2, so that its figures can be compared. Shortcuts where the shape changes:
        the paper pads with zeros (option A); R2 and we use a 1x1 convolution of stride 2 (option B) without
        batch norm. First weights: He-normal; R2's are cut at two standard deviations, the paper's and ours are not.
        Differs from R2 without effect on what the network can express: no biases in the convolutions, as
        batch norm has its own. Differs slightly: batch norm keeps torch's momentum 0.1 and epsilon 1e-5
        (Keras: 0.01 in torch's terms and 1e-3), and strided convolutions pad both sides alike (Keras: right, bottom).
        L2 1e-4 on the convolution kernels is the optimiser's part, not the network's: R2 adds 1e-4 |w|^2 to the
        loss, whose gradient 2e-4 w is a *coupled* weight decay of 2e-4 (torch's Adam, not AdamW).
    """

    def __init__(self, depth: int, *, num_classes: int, channels: int = 3, size: int | None = None) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(WIDTHS[0])
        stages = [
            Block(WIDTHS[max(stage - 1, 0)] if i == 0 else width, width, stride=2 if stage > 0 and i == 0 else 1)
            for stage, width in enumerate(WIDTHS)
            for i in range(blocks)
        ]
        self.blocks = nn.Sequential(*stages)
        self.head = nn.Linear(WIDTHS[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) pictures to (B, num_classes) logits."""
        x = self.blocks(torch.relu(self.bn(self.conv(images))))
        return self.head(x.mean(dim=(2, 3)))
