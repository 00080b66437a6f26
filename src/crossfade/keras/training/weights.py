"""The weights of a Keras model: drawn from a seed, told apart by a digest, written whole."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from crossfade.rng import Stream, derive_rng

ENDING = ".weights.h5"  # which Keras asks for


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Inside, what Keras draws without being told a seed is a function of `seed`.

    Initialisers take such a seed from Python's `random`, and so do layers such as dropout, when they are made; but on
    PyTorch such a dropout draws from torch's own generators. Both stand afterwards where they stood before; no other
    global generator is touched.
    """
    drawn = int(derive_rng(seed, Stream.WEIGHTS, 0).integers(2**62))
    state = random.getstate()
    random.seed(drawn)
    try:
        with _torch_from(drawn) if keras.config.backend() == "torch" else nullcontext():
            yield
    finally:
        random.setstate(state)


@contextmanager
def _torch_from(seed: int) -> Iterator[None]:
    import torch

    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(seed)
        yield


def weights_digest(model: Any) -> str:
    """SHA-256 over number, dtype, shape and bytes of every weight, in order: equal if and only if all of these are.

    Names are left out: Keras counts the models it made in them.
    """
    digest = hashlib.sha256()
    for number, weight in enumerate(model.weights):
        values = np.asarray(keras.ops.convert_to_numpy(weight), order="C")
        digest.update(f"{number} {values.dtype} {values.shape}\n".encode())
        digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save_weights(model: Any, path: Path) -> None:
    """Write Keras' own file of weights, so that the old file or the new one stands, and never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".new{ENDING}")
    model.save_weights(str(new))
    os.replace(new, path)


@contextmanager
def with_weights(model: Any, path: Path) -> Iterator[None]:
    """Inside, a model has the weights of a file; afterwards those that it had, and its optimizer, too."""
    kept = [*model.weights, *model.optimizer.variables]
    values = [np.array(keras.ops.convert_to_numpy(variable)) for variable in kept]
    model.load_weights(str(path))
    try:
        yield
    finally:
        for variable, value in zip(kept, values, strict=True):
            variable.assign(value)


def seed_states(model: Any) -> list[Any]:
    """The variables that are no weights: where the generators of dropout and the like stand."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
