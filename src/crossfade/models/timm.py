"""The door to timm: any of its models, with or without its published weights."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch
from torch import nn

from crossfade.errors import CheckpointError, ConfigError, MissingExtra


def has(name: str) -> bool:
    """Whether timm can build `name` ("resnet18", or with a tag of its weights: "resnet18.a1_in1k")."""
    models = _timm().models
    return models.is_model(name.partition(".")[0])


def all_names() -> list[str]:
    """Every architecture timm knows."""
    return _timm().list_models()


def published_statistics(name: str) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation (pixels in 0..1) with which the published weights of `name` were trained."""
    published = _timm().models.get_pretrained_cfg(name.removeprefix("timm:"), allow_unregistered=True)
    return None if published is None else (list(published.mean), list(published.std))


def create(
    name: str, *, num_classes: int, channels: int, size: int | None = None, pretrained: bool = False
) -> nn.Module:
    """Build timm's model `name` with a fresh head of `num_classes`.

    Args:
        name: as `has` takes it.
        num_classes: how many logits it gives.
        channels: of the pictures; timm sums or repeats pretrained first-layer filters to fit.
        size: side of the pictures in pixels, told to those models (ViT, Swin, ...) that are made for one size.
        pretrained: fetch the published weights from the hub, or take them from its local cache.

    Raises:
        ConfigError: the model cannot be built so (a ViT for pictures smaller than its patch, say).
        CheckpointError: the published weights could not be had.
    """
    timm = _timm()
    options: dict[str, int] = {"num_classes": num_classes, "in_chans": channels}
    published = timm.models.get_pretrained_cfg(name, allow_unregistered=True)
    if size is not None and published is not None and published.fixed_input_size:
        options["img_size"] = size
    try:
        model = timm.create_model(name, pretrained=pretrained, **options)
        if size is not None:
            _try_out(model, channels, size)
        return model
    except Exception as error:  # timm, its hub client and its HTTP library share no class of errors
        if pretrained and not isinstance(error, _DoesNotFit):
            raise CheckpointError(
                f"build: the published weights of timm:{name} must be on this machine or fetched from the hub. "
                f"Got {_first_line(error)}. Check the connection, leave pretrained out, "
                "or give a local safetensors file as weights."
            ) from error
        raise ConfigError(
            f"build: timm:{name} must take the pictures' shape. Got {_first_line(error)} "
            f"for channels={channels}, size={size}. Choose another size or another model."
        ) from error


class _DoesNotFit(Exception):
    """The model was built, but does not take pictures of the size."""


@torch.inference_mode()
def _try_out(model: nn.Module, channels: int, size: int) -> None:
    """Show the model one black picture: better refused here than in the first step of a training."""
    try:
        model.eval()(torch.zeros(1, channels, size, size))
    except Exception as error:
        raise _DoesNotFit(_first_line(error)) from error
    finally:
        model.train()


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    if isinstance(error, _DoesNotFit):
        return text[0]
    return f"{type(error).__name__}: {text[0].rstrip('.')}" if text else type(error).__name__


def _timm() -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise MissingExtra(
            "build: timm's models need timm. It is not installed. pip install 'crossfade[workbench]'"
        ) from error
