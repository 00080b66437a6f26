"""R3's network keeps its shape at 32 pixels and stays small beyond."""

import pytest
from torch import nn

from crossfade.models.small import Cnn4


def test_four_convolutions_and_two_dense_layers():
    kinds = [type(module) for module in Cnn4(num_classes=10).modules()]
    assert kinds.count(nn.Conv2d) == 4
    assert kinds.count(nn.Linear) == 2


@pytest.mark.parametrize(("size", "inputs"), [(None, 4096), (224, 4096), (32, 4096), (28, 64 * 49), (8, 256)])
def test_the_dense_layer_never_grows_beyond_its_size_at_32_pixels(size, inputs):
    assert Cnn4(num_classes=2, size=size).hidden.in_features == inputs
