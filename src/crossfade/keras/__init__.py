"""The Keras door: mixing, folder reading and the fair comparison inside `model.fit`.

    from crossfade.keras import ImageFolder

    train = ImageFolder("photos", (150, 150), subset="training", validation_split=0.3, mix=cf.MixUp(0.2))
    held_out = ImageFolder("photos", (150, 150), subset="validation", validation_split=0.3)
    model.fit(train, validation_data=held_out, epochs=10)

For Keras 3 on TensorFlow, JAX and PyTorch, whichever is configured; none is imported before a name is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from crossfade.errors import MissingExtra

_HOMES = {
    "ImageFolder": "datasets.folder",
    "ArrayDataset": "datasets.arrays",
    "MixupImageDataGenerator": "datasets.generators",
    "CutmixImageDataGenerator": "datasets.generators",
    "Mix": "layers.mix",
    "RocAuc": "training.callbacks",
    "LossHistory": "training.callbacks",
    "HalveEvery": "training.callbacks",
    "RunRecorder": "training.recorder",
    "MixedAccuracy": "training.metrics",
    "compare": "training.compare",
}

__all__ = list(_HOMES)

if find_spec("keras") is None:
    raise MissingExtra("crossfade.keras: needs Keras 3. Run: pip install 'crossfade[keras]'.")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'crossfade.keras' has no attribute {name!r}")
    value = getattr(import_module(f"crossfade.keras.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
