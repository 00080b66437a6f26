"""From a name to a network.

A name of ours (`names()`) means our network; ``timm:NAME``, or a plain NAME that only timm knows, means timm's.
Building a network draws its first weights from torch's global generator, as every torch module does; under
`seeded` they are a function of the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crossfade.errors import ConfigError, MissingExtra
from crossfade.models import timm
from crossfade.models.airbench import Airbench
from crossfade.models.fast import Fast
from crossfade.models.resnet import CifarResNet
from crossfade.models.small import Cnn4
from crossfade.models.weights import load_weights

MIN_SIZE = 8

_OURS: dict[str, Callable[..., nn.Module]] = {
    "cnn4": Cnn4,
    "fast": Fast,
    "resnet20": partial(CifarResNet, 20),
    "resnet32": partial(CifarResNet, 32),
    "resnet44": partial(CifarResNet, 44),
    "resnet56": partial(CifarResNet, 56),
    "airbench94": partial(Airbench, (64, 256, 256), 2),
    "airbench95": partial(Airbench, (128, 384, 384), 2),
    "airbench96": partial(Airbench, (128, 512, 512), 3),
}


def names() -> list[str]:
    """The names of our own networks; ``timm:NAME`` is understood beside them."""
    return list(_OURS)


def check_name(name: str) -> None:
    """Raise ConfigError, with the nearest names, unless `build` knows a network called `name`."""
    if name not in _OURS:
        _timm_name(name)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's CPU generator starts at `seed`; afterwards it stands where it stood before.

    Networks are built on the CPU and moved, so first weights depend on the seed and on no device.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would reseed the accelerators too, which this fork does not restore.
        torch.default_generator.manual_seed(seed)
        yield


def build(
    name: str,
    *,
    num_classes: int,
    channels: int = 3,
    size: int | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
) -> nn.Module:
    """Build the network called `name`, on the CPU, in float32, in training mode.

    Args:
        name: one of `names()`, ``timm:NAME``, or a plain name that timm has.
        num_classes: how many logits it gives, >= 1.
        channels: of the pictures, 1 or 3.
        size: side of the pictures in pixels, >= 8. ``cnn4`` fits its dense layer to it, and timm's models of
            one fixed size are built for it; every other network takes any size whatever is said here.
        pretrained: start from timm's published weights (fetched from the hub).
        weights: start from this local safetensors file, see `load_weights`.

    Returns:
        A module from (B, channels, H, W) floating pictures to (B, num_classes) logits.

    Raises:
        ConfigError: no such network, or an argument it cannot be built with.
        CheckpointError: `weights` does not fit, or the published weights could not be fetched.
        MissingExtra: a timm model is asked for, and timm is not installed.
    """
    _check(num_classes=num_classes, channels=channels, size=size)
    shape: dict[str, Any] = {"num_classes": num_classes, "channels": channels, "size": size}
    if name in _OURS:
        if pretrained:
            raise ConfigError(
                f"build: only timm's models have published weights. Got {name!r}, pretrained=True. "
                "Leave pretrained out, or give a local safetensors file as weights."
            )
        model = _OURS[name](**shape)
    else:
        model = timm.create(_timm_name(name), pretrained=pretrained, **shape)
    if weights is not None:
        load_weights(model, Path(weights))
    return model


def _check(*, num_classes: int, channels: int, size: int | None) -> None:
    if num_classes < 1:
        raise ConfigError(f"build: num_classes must be 1 or more. Got {num_classes}. Count the class folders.")
    if channels not in (1, 3):
        raise ConfigError(f"build: pictures have 1 or 3 channels. Got channels={channels}. Pass 1 or 3.")
    if size is not None and size < MIN_SIZE:
        raise ConfigError(f"build: pictures must be {MIN_SIZE} pixels a side or more. Got size={size}. Enlarge them.")


def _timm_name(name: str) -> str:
    """The part of `name` that timm understands, or ConfigError with the nearest names."""
    prefix, _, rest = name.partition(":")
    wanted = rest if prefix == "timm" and rest else name
    try:
        if timm.has(wanted):
            return wanted
        theirs = timm.all_names()
    except MissingExtra:
        if wanted != name:
            raise
        theirs = []
    if wanted == name:
        near = get_close_matches(name, [*_OURS, *theirs], n=3)
    else:
        near = [f"timm:{found}" for found in get_close_matches(wanted, theirs, n=3)]
    advice = f"Did you mean {' or '.join(near)}?" if near else f"Ours are {', '.join(_OURS)}; or timm:NAME."
    raise ConfigError(f"build: the model must be one that we or timm have. Got {name!r}. {advice}")
