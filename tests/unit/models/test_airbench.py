"""Jordan's networks: the published kernels, a start as the identity, and shifts that learn faster."""

import pytest
import torch
from torch.nn import functional

from crossfade.models import build, seeded
from crossfade.models.airbench import ShiftNorm


@pytest.fixture(scope="module")
def deepest():
    with seeded(0):
        return build("airbench96", num_classes=10)


def test_the_smallest_has_the_published_kernels():
    kernels = [tuple(p.shape) for p in build("airbench94", num_classes=10).parameters() if p.ndim == 4]
    inner = [(64, 24), (64, 64), (256, 64), (256, 256), (256, 256), (256, 256)]
    assert kernels == [(24, 3, 2, 2), *((*widths, 3, 3) for widths in inner)]


def test_pictures_shrink_as_in_the_paper(deepest):
    x = deepest.whiten(torch.randn(2, 3, 32, 32))
    shapes = [x.shape[1:]]
    for group in deepest.groups:
        x = group(x)
        shapes.append(x.shape[1:])
    assert shapes == [(24, 31, 31), (128, 15, 15), (512, 7, 7), (512, 3, 3)]


def test_convolutions_start_as_the_identity(deepest):
    images = torch.randn(2, 24, 7, 7)
    assert torch.equal(deepest.groups[0].convs[0](images)[:, :24], images)
    images = torch.randn(2, 512, 7, 7)
    assert torch.equal(deepest.groups[2].convs[1](images), images)


@pytest.mark.parametrize(("name", "bridged"), [("airbench94", False), ("airbench95", False), ("airbench96", True)])
def test_three_convolutions_are_bridged_before_the_last_gelu_and_two_are_not(name, bridged):
    group = build(name, num_classes=2).groups[0].eval()
    with torch.no_grad():
        group.convs[0].weight.zero_()
        group.convs[-1].weight.zero_()
        group.norms[0].bias.fill_(12 / ShiftNorm.FASTER)  # which GELU leaves as it is
        group.norms[-1].bias.fill_(-4 / ShiftNorm.FASTER)
        found = group(torch.randn(2, 24, 8, 8))
    expected = functional.gelu(torch.tensor(12.0 - 4 if bridged else -4.0))
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_shift_moves_sixty_four_times_as_far_in_a_step_of_sgd():
    images = torch.randn(4, 3, 5, 5)
    ours, plain = ShiftNorm(3), torch.nn.BatchNorm2d(3)
    before = ours(images).detach()
    assert torch.allclose(before, plain(images), atol=1e-6)
    for norm in (ours, plain):
        optimizer = torch.optim.SGD(norm.parameters(), lr=0.01)
        norm(images).sum().backward()
        optimizer.step()
    moved, shift = ours(images) - before, plain.bias.detach()
    assert torch.allclose(moved, 64 * shift[:, None, None].expand_as(moved), rtol=1e-4)


def test_evaluation_uses_what_training_averaged():
    norm, images = ShiftNorm(2), torch.randn(64, 2, 4, 4) * 3 + 1
    for _ in range(200):
        norm(images)
    assert torch.allclose(norm.eval()(torch.ones(1, 2, 1, 1)), torch.zeros(()), atol=0.15)
    assert torch.allclose(norm(torch.full((1, 2, 1, 1), 4.0)), torch.ones(()), atol=0.15)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_cuda():
    model = build("airbench94", num_classes=3).to("cuda", memory_format=torch.channels_last)
    with torch.autocast("cuda", torch.bfloat16):
        loss = model(torch.randn(4, 3, 32, 32, device="cuda")).square().sum()
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.requires_grad)
