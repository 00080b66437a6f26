"""timm's models: what is passed to them, and what is said when the hub is out of reach."""

import pytest
import timm as theirs
import torch

from crossfade.errors import CheckpointError, ConfigError
from crossfade.models import build
from crossfade.models.timm import published_statistics


def test_a_model_made_for_one_size_is_built_for_ours():
    model = build("timm:vit_tiny_patch16_224", num_classes=3, channels=1, size=64)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 3)


def test_a_size_the_model_cannot_take_is_refused():
    with pytest.raises(ConfigError, match=r"timm:vit_tiny_patch16_224 must take .* size=8\. Choose another"):
        build("timm:vit_tiny_patch16_224", num_classes=3, size=8)


def test_an_unreachable_hub_is_one_sentence_with_a_way_out(monkeypatch):
    def unreachable(name, *, pretrained, **options):
        assert pretrained
        assert options == {"num_classes": 3, "in_chans": 1}
        raise FileNotFoundError("Cannot find the requested files.\nmore\nlines")

    monkeypatch.setattr(theirs, "create_model", unreachable)
    with pytest.raises(CheckpointError, match=r"from the hub\. Got FileNotFoundError: Cannot find.*files\. Check"):
        build("timm:resnet18", num_classes=3, channels=1, size=32, pretrained=True)


def test_published_statistics_are_imagenets_for_a_model_trained_on_it():
    mean, std = published_statistics("timm:resnet18")
    assert mean == [0.485, 0.456, 0.406]
    assert std == [0.229, 0.224, 0.225]
