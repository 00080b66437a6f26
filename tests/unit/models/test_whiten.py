"""The whitening convolution whitens, once, the same every time."""

import pytest
import torch
from torch.nn import functional

from crossfade.models import build, seeded
from crossfade.models.whiten import Whiten

FAST = {"patch": 4, "stride": 2, "padding": 1, "kept": 32}
JORDAN = {"patch": 2}


def blurred(n, channels=3, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, channels, size + 4, size + 4, generator=generator)
    return functional.avg_pool2d(noise, 5, stride=1) * 5 + 0.3


def outputs(layer, images):
    """(positions, filters) of the layer away from the padded border."""
    inside = layer(images)[:, :, 1:-1, 1:-1]
    return inside.permute(0, 2, 3, 1).flatten(0, 2).double()


@pytest.mark.parametrize("shape", [FAST, JORDAN])
def test_outputs_have_unit_second_moments_and_come_in_opposite_pairs(shape):
    images, layer = blurred(300), Whiten(3, **shape, epsilon=1e-9)
    layer.prepare(images)
    found = outputs(layer, images)
    half = found.shape[1] // 2
    moments = found[:, :half].T @ found[:, :half] / len(found)
    assert torch.allclose(moments, torch.eye(half, dtype=torch.float64), atol=0.05)
    assert torch.equal(found[:, :half], -found[:, half:])


def test_preparing_twice_changes_nothing_and_repeats_exactly():
    layers = []
    for seed in (0, 1):
        with seeded(seed):
            layers.append(Whiten(3, **FAST))
        layers[-1].prepare(blurred(50))
    once = layers[0].weight.clone()
    layers[0].prepare(blurred(50, seed=9))
    assert torch.equal(layers[0].weight, once)
    assert torch.equal(layers[1].weight, once)


def test_the_number_of_pictures_at_a_time_makes_no_difference():
    few, many = Whiten(1, **FAST), Whiten(1, **FAST)
    images = blurred(150, channels=1)
    few.prepare(images)
    many.prepare(torch.cat([images, images, images]))
    assert torch.allclose(few.weight, many.weight, atol=1e-5)


def test_pictures_of_one_colour_give_finite_filters():
    layer = Whiten(1, **FAST)
    layer.prepare(torch.zeros(5, 1, 8, 8))
    assert torch.isfinite(layer.weight).all()


@pytest.mark.parametrize("name", ["fast", "airbench94"])
def test_a_prepared_network_stays_prepared_in_its_saved_weights(name):
    saved = build(name, num_classes=3)
    before = saved.whiten.weight.clone()
    saved.prepare(blurred(20))
    assert not torch.equal(saved.whiten.weight, before)
    loaded = build(name, num_classes=3)
    loaded.load_state_dict(saved.state_dict())
    loaded.prepare(blurred(20, seed=1))
    assert torch.equal(loaded.whiten.weight, saved.whiten.weight)


SCALES = {f"groups.{group}.norms.{norm}.weight" for group in range(3) for norm in range(2)}


@pytest.mark.parametrize(("name", "scales"), [("fast", set()), ("airbench94", SCALES)])
def test_the_whitening_filters_and_no_others_are_not_trained(name, scales):
    model = build(name, num_classes=3)
    frozen = {key for key, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"whiten.weight"} | scales


def test_the_sign_of_a_filter_is_fixed_by_its_largest_entry():
    layer = Whiten(3, **FAST)
    layer.prepare(blurred(50))
    filters = layer.weight[: layer.out_channels // 2].flatten(1)
    largest = filters.gather(1, filters.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()
