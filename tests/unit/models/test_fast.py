"""`fast` starts as the identity and takes any picture."""

import torch

from crossfade.models import build, seeded


def test_one_small_picture_alone_can_be_trained_on():
    model = build("fast", num_classes=3, channels=1)
    model(torch.randn(1, 1, 8, 8)).sum().backward()
    assert model.head.weight.grad is not None


def test_units_start_as_the_identity():
    with seeded(0):
        unit = build("fast", num_classes=3).units[2]
    images = torch.randn(2, 256, 8, 8)
    assert torch.equal(unit.conv(images), images)
