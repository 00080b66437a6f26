"""Every network by its name, and first weights that depend on the seed alone."""

import pytest
import torch

from crossfade.errors import ConfigError, MissingExtra
from crossfade.models import build, names, registry, seeded


def test_our_networks_are_listed():
    ours = ["cnn4", "fast", *(f"resnet{n}" for n in (20, 32, 44, 56)), *(f"airbench{n}" for n in (94, 95, 96))]
    assert names() == ours


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 9, 13), (3, 32, 32)])
def test_any_picture_from_eight_pixels_on_gives_a_row_of_logits(name, channels, height, width):
    model = build(name, num_classes=7, channels=channels)
    logits = model(torch.randn(2, channels, height, width))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["cnn4", "fast", "resnet20", "airbench94", "airbench96"])
def test_every_trainable_tensor_gets_a_gradient(name):
    model = build(name, num_classes=3, channels=1, size=8)
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()
    silent = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", [*names(), "timm:resnet18"])
def test_first_weights_are_a_function_of_the_seed_alone(name):
    def first_weights(seed, drawn_before):
        torch.rand(drawn_before)
        with seeded(seed):
            return build(name, num_classes=5, size=32).state_dict()

    here, there, other = first_weights(3, 0), first_weights(3, 17), first_weights(4, 0)
    assert all(torch.equal(here[key], there[key]) for key in here)
    assert not all(torch.equal(here[key], other[key]) for key in here)


def test_seeded_leaves_the_global_generator_where_it_was():
    before = torch.get_rng_state()
    with seeded(5):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_plain_name_that_only_timm_has_is_timms():
    plain = build("resnet18", num_classes=4, channels=1)
    assert type(plain) is type(build("timm:resnet18", num_classes=4, channels=1))
    assert plain(torch.randn(2, 1, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "nearest"), [("resnet21", "resnet20"), ("cnn", "cnn4"), ("timm:resnt18", "timm:resnet18")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(ConfigError, match=rf"Got '{name}'\. Did you mean .*{nearest}"):
        build(name, num_classes=2)


@pytest.mark.parametrize("name", ["", "timm:", "zzzzqqqq", "timm:zzzzqqqq"])
def test_a_name_near_to_nothing_is_answered_with_what_there_is(name):
    with pytest.raises(ConfigError, match=r"Ours are cnn4, fast, .*timm:NAME"):
        build(name, num_classes=2)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"num_classes": 0}, "num_classes must be 1 or more"),
        ({"channels": 4}, "1 or 3 channels"),
        ({"size": 7}, "8 pixels a side"),
        ({"pretrained": True}, "only timm's models have published weights"),
    ],
)
def test_arguments_no_network_can_have_are_refused(wrong, rule):
    with pytest.raises(ConfigError, match=rule):
        build("cnn4", **{"num_classes": 2, **wrong})


def test_without_timm_ours_still_work_and_theirs_name_the_extra(monkeypatch):
    def absent(*_):
        raise MissingExtra("build: timm's models need timm.")

    monkeypatch.setattr(registry.timm, "_timm", absent)
    assert build("cnn4", num_classes=2) is not None
    with pytest.raises(MissingExtra, match="need timm"):
        build("timm:resnet18", num_classes=2)
    with pytest.raises(ConfigError, match=r"Did you mean .*resnet20"):
        build("resnet21", num_classes=2)
