"""crossfade: sample mixing for image classifiers, exact and the same in every framework.

    >>> import numpy as np
    >>> import crossfade as cf
    >>> images = np.zeros((4, 8, 8, 3), np.uint8)
    >>> mixed, targets = cf.MixUp(alpha=0.2)(images, np.array([0, 1, 2, 0]), rng=0, num_classes=3)
    >>> mixed.shape, targets.shape
    ((4, 8, 8, 3), (4, 3))

Importing this package loads NumPy and nothing else of weight; a framework is used only if its arrays arrive.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Plan": "mixing.plan",
    "Policy": "mixing.policy",
    "NoMix": "mixing.policy",
    "MixUp": "mixing.blend",
    "CutMix": "mixing.box",
    "OneOf": "mixing.choice",
    "Sometimes": "mixing.choice",
    "Until": "mixing.choice",
    "apply": "arrays.dispatch",
    "mix_images": "arrays.dispatch",
    "mix_targets": "arrays.dispatch",
    "augment_images": "arrays.dispatch",
    "mix_masks": "arrays.dispatch",
    "mixed_loss": "arrays.dispatch",
    "mixed_accuracy": "arrays.dispatch",
    "render": "arrays.dispatch",
    "CrossfadeError": "errors",
    "PlanError": "errors",
    "ArrayError": "errors",
    "LabelError": "errors",
    "DataError": "errors",
    "CacheError": "errors",
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "TrainingError": "errors",
    "MissingExtra": "errors",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from crossfade.arrays.dispatch import (
        apply,
        augment_images,
        mix_images,
        mix_masks,
        mix_targets,
        mixed_accuracy,
        mixed_loss,
        render,
    )
    from crossfade.errors import (
        ArrayError,
        CacheError,
        CheckpointError,
        ConfigError,
        CrossfadeError,
        DataError,
        LabelError,
        MissingExtra,
        PlanError,
        TrainingError,
    )
    from crossfade.mixing.blend import MixUp
    from crossfade.mixing.box import CutMix
    from crossfade.mixing.choice import OneOf, Sometimes, Until
    from crossfade.mixing.plan import Plan
    from crossfade.mixing.policy import NoMix, Policy


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'crossfade' has no attribute {name!r}")
    value = getattr(import_module(f"crossfade.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
