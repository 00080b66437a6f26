"""The peers, each used as its own documentation tells, and kindly: no conversion they could avoid is counted.

A mixer takes a normalised float32 batch (B, 3, H, W) and (B,) class numbers, and gives mixed images and targets in
the form its library has for them. A normaliser takes the uint8 batch to that float32 batch. Keras works on
(B, H, W, 3) where it starts from bytes, since that is its own layout.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Work, installed

Method = Literal["mixup", "cutmix"]
Mixer = Callable[[Tensor, Tensor], Any]

NAMES = ("timm", "torchvision", "kornia", "keras")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def present() -> list[str]:
    """The peers that are installed."""
    return [name for name in NAMES if installed(name)]


def described() -> list[str]:
    """Which version of each took part, or that it did not."""
    missing = "is not installed and was skipped. Run: pip install 'crossfade[bench]'"
    return [f"{name} {installed(name) or missing}" for name in NAMES]


def float_works(method: Method, images: Tensor, labels: Tensor, classes: int) -> dict[str, Work]:
    """Mix a normalised float32 batch (B, 3, H, W). timm mixes in place, so it has a batch of its own."""
    works: dict[str, Work] = {}
    for peer in present():
        for name, mix in _MIXERS[peer](method, classes, "channels_first").items():
            own = images.clone() if peer == "timm" else images
            works[name] = _bind(mix, own, labels)
    return works


def byte_works(method: Method, pixels: Tensor, labels: Tensor, classes: int) -> dict[str, Work]:
    """From a uint8 batch (B, H, W, 3) to a mixed, normalised one; all but Keras get it as (B, 3, H, W)."""
    planar = pixels.permute(0, 3, 1, 2).contiguous()
    works: dict[str, Work] = {}
    for peer in present():
        normalise = _NORMALISERS[peer]()
        for name, mix in _MIXERS[peer](method, classes, "channels_last").items():
            works[f"{name}, after normalising"] = _bind(
                _chain(normalise, mix), pixels if peer == "keras" else planar, labels
            )
    if "timm" in present():
        works["timm FastCollateMixup, then normalise"] = _timm_collate(method, planar, labels, classes)
    if "torchvision" in present() and method == "cutmix":
        mix = _torchvision(method, classes, "")["torchvision v2"]
        normalise = _torchvision_normalise()
        works["torchvision v2 on bytes, then normalise"] = lambda: _first(normalise, mix(planar, labels))
    return works


def _bind(mix: Mixer, images: Tensor, labels: Tensor) -> Work:
    def work() -> Any:
        with torch.no_grad():
            return mix(images, labels)

    return work


def _chain(normalise: Callable[[Tensor], Tensor], mix: Mixer) -> Mixer:
    return lambda images, labels: mix(normalise(images), labels)


def _first(normalise: Callable[[Tensor], Tensor], mixed: Any) -> Any:
    return normalise(mixed[0]), mixed[1]


def _of_channel(values: tuple[float, ...]) -> Tensor:
    return 255 * torch.tensor(values).view(1, 3, 1, 1)


# ------------------------------------------------------------------------------------------------------- timm


def _timm(method: Method, classes: int, layout: str) -> dict[str, Mixer]:
    return {
        "timm Mixup": _timm_mixup("Mixup", method, classes, "batch"),
        "timm Mixup(mode='elem')": _timm_mixup("Mixup", method, classes, "elem"),
    }


def _timm_mixup(kind: str, method: Method, classes: int, mode: str) -> Any:
    import timm.data.mixup

    alphas = {"mixup_alpha": float(method == "mixup"), "cutmix_alpha": float(method == "cutmix")}
    return getattr(timm.data.mixup, kind)(**alphas, mode=mode, label_smoothing=0.0, num_classes=classes)


def _timm_normalise() -> Callable[[Tensor], Tensor]:
    """As timm's PrefetchLoader does it."""
    mean, std = _of_channel(MEAN), _of_channel(STD)
    return lambda images: images.to(torch.float32).sub_(mean).div_(std)


def _timm_collate(method: Method, planar: Tensor, labels: Tensor, classes: int) -> Work:
    """What timm's fast path does: mix bytes while collating, normalise the batch."""
    collate = _timm_mixup("FastCollateMixup", method, classes, "batch")
    samples = [(image.numpy(), int(label)) for image, label in zip(planar, labels, strict=True)]
    normalise = _timm_normalise()
    return lambda: _first(normalise, collate(samples))


# ------------------------------------------------------------------------------------------------ torchvision


def _torchvision(method: Method, classes: int, layout: str) -> dict[str, Mixer]:
    from torchvision.transforms import v2

    kind = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[method]
    return {"torchvision v2": kind(alpha=1.0, num_classes=classes)}


def _torchvision_normalise() -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD, inplace=True)])


# ----------------------------------------------------------------------------------------------------- kornia


def _kornia(method: Method, classes: int, layout: str) -> dict[str, Mixer]:
    augmentation = _import("kornia.augmentation")
    if method == "mixup":
        return {"kornia": augmentation.RandomMixUpV2(p=1.0, data_keys=["input", "class"])}
    return {"kornia": augmentation.RandomCutMixV2(p=1.0, data_keys=["input", "class"], use_correct_lambda=True)}


def _kornia_normalise() -> Callable[[Tensor], Tensor]:
    """With mean and std of bytes, which saves kornia a division."""
    normalise = _import("kornia.enhance").Normalize(_of_channel(MEAN).flatten(), _of_channel(STD).flatten())
    return lambda images: normalise(images.to(torch.float32))


# ------------------------------------------------------------------------------------------------------ Keras


def _keras(method: Method, classes: int, layout: str) -> dict[str, Mixer]:
    layers = _keras_layers()
    layer = layers.MixUp(alpha=1.0) if method == "mixup" else layers.CutMix(data_format=layout)

    def mix(images: Tensor, labels: Tensor) -> Any:
        targets = torch.nn.functional.one_hot(labels, classes).to(torch.float32)
        mixed = layer({"images": images, "labels": targets}, training=True)
        return mixed["images"], mixed["labels"]

    return {"Keras layers": mix}


def _keras_normalise() -> Callable[[Tensor], Tensor]:
    scale, mean = 1 / (255 * np.array(STD, np.float32)), np.array(MEAN, np.float32)
    return _keras_layers().Rescaling(scale=scale, offset=-255 * mean * scale)


def _keras_layers() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    return _import("keras").layers


def _import(name: str) -> Any:
    """Import a peer. What it warns of while it loads is its own business."""
    from importlib import import_module

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


_MIXERS = {"timm": _timm, "torchvision": _torchvision, "kornia": _kornia, "keras": _keras}
_NORMALISERS = {
    "timm": _timm_normalise,
    "torchvision": _torchvision_normalise,
    "kornia": _kornia_normalise,
    "keras": _keras_normalise,
}
