"""The published facts of the CIFAR ResNets: layers, parameters, first weights."""

import pytest
import torch
from torch import nn

from crossfade.models import build, seeded


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_depth_counts_the_convolutions_off_the_shortcuts_and_the_dense_layer(depth):
    model = build(f"resnet{depth}", num_classes=10)
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(layers) == depth


def test_resnet20_has_the_papers_parameters_and_two_projections():
    model = build("resnet20", num_classes=10)
    projections = 16 * 32 + 32 * 64
    # He et al., table 6: 0.27 M, with option A shortcuts, which have none.
    assert sum(p.numel() for p in model.parameters()) - projections == 269_722


def test_pictures_are_halved_twice():
    model = build("resnet20", num_classes=10)
    assert model.blocks(torch.relu(model.bn(model.conv(torch.randn(2, 3, 32, 32))))).shape == (2, 64, 8, 8)


def test_kernels_are_he_normal():
    with seeded(0):
        model = build("resnet56", num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / (module.in_channels * module.kernel_size[0] ** 2)) ** 0.5
            spread = 5 * expected / (2 * module.weight.numel()) ** 0.5
            assert abs(float(module.weight.detach().std()) - expected) < spread
